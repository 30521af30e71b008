//! The other end of the admin socket, for the command line: one connection, one request after the other, no runtime.

use super::jsonrpc::Fault;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The longest that a method takes: a swap that compiles a big module on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection to a daemon.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    last: u64,
}

impl Client {
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).with_context(|| {
            format!("no daemon answers at {}; is it running, and is this its socket? (--socket PATH, --config FILE)", socket.display())
        })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
            last: 0,
        })
    }

    /// Calls a method. The outer error is the connection's, the inner one the daemon's answer.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Result<Result<Value, Fault>> {
        self.last += 1;
        let mut request =
            json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": self.last })
                .to_string();
        request.push('\n');
        // What could not be written whole may still have been answered: too many connections, a line too long.
        let written = self.stream.get_mut().write_all(request.as_bytes());
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        if line.is_empty() {
            written
                .and(read.map(drop))
                .context("the daemon closed the connection")?;
            bail!("the daemon closed the connection without an answer");
        }
        let mut answer: Value =
            serde_json::from_str(&line).context("the daemon's answer is not JSON")?;
        match answer.get_mut("error") {
            Some(error) => {
                Ok(Err(serde_json::from_value(error.take())
                    .context("the daemon's error can't be read")?))
            }
            None => Ok(Ok(answer
                .get_mut("result")
                .map(Value::take)
                .unwrap_or(Value::Null))),
        }
    }
}
