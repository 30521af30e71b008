//! The admin socket: JSON-RPC over a Unix socket, one request or batch a line.
//!
//! Owns the socket file. Connections are bounded in number, a line in length; a method runs on a thread of its own, so that one that
//! takes long (a swap compiles) or a client that does not read stops nobody else. A connection's requests are answered in order.

use super::jsonrpc::{self, Fault};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, warn};

/// The longest line; a module of 48 MB fits as base64.
const LINE: usize = 64 << 20;
/// A connection that asks nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(600);
/// A client must take its answer within this time.
const WRITE: Duration = Duration::from_secs(30);

/// What answers a request.
pub(crate) type Answer =
    Arc<dyn Fn(&jsonrpc::Request) -> Result<serde_json::Value, Fault> + Send + Sync>;

/// A bound socket; its file goes when it is dropped.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    connections: Arc<Semaphore>,
}

impl Socket {
    /// Binds the path. A file left by a daemon that is gone is replaced; that of one which answers is not.
    pub(crate) fn bind(path: &Path, mode: u32, connections: usize) -> Result<Self> {
        let shown = path.display();
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .with_context(|| format!("can't make the folder of the admin socket {shown}"))?;
        }
        if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                bail!(
                    "another daemon answers at the admin socket {shown}; give this one its own: --set admin.listen=unix:PATH"
                );
            }
            fs::remove_file(path)
                .with_context(|| format!("can't remove the old admin socket {shown}"))?;
        }
        let listener = UnixListener::bind(path)
            .with_context(|| format!("can't listen at the admin socket {shown}"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .with_context(|| format!("can't set the mode of {shown}"))?;
        Ok(Self {
            listener,
            path: path.to_path_buf(),
            connections: Arc::new(Semaphore::new(connections)),
        })
    }

    /// Serves until dropped.
    pub(crate) async fn serve(self, answer: Answer) {
        loop {
            let mut stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, mostly: wait for some to come back.
                    warn!(%error, "admin connection not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() else {
                let refusal = jsonrpc::refusal(Fault::refused(
                    "too many admin connections (admin.max-connections)",
                ));
                _ = timeout(Duration::from_millis(10), stream.write_all(&refusal)).await;
                continue;
            };
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                if let Err(error) = converse(stream, &answer).await {
                    debug!(%error, "admin connection closed");
                }
                drop(permit);
            });
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.path);
    }
}

async fn converse(stream: UnixStream, answer: &Answer) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let line = match timeout(IDLE, line(&mut read)).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) | Err(_) => return Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                let refusal = jsonrpc::refusal(Fault::invalid_request(error.to_string()));
                send(&mut write, &refusal).await?;
                return Err(error);
            }
            Ok(Err(error)) => return Err(error),
        };
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let call = Arc::clone(answer);
        let reply =
            tokio::task::spawn_blocking(move || jsonrpc::answer(&line, |request| call(request)))
                .await;
        let reply = match reply {
            Ok(Some(reply)) => reply,
            Ok(None) => continue,
            Err(error) => {
                warn!(%error, "an admin method panicked");
                jsonrpc::refusal(Fault::internal("the method failed; the log says more"))
            }
        };
        send(&mut write, &reply).await?;
    }
}

/// The next line without its end; nothing at the end of the stream.
async fn line(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let bytes = read.fill_buf().await?;
        if bytes.is_empty() {
            return Ok((!line.is_empty()).then_some(line));
        }
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let part = end.and_then(|end| bytes.get(..end)).unwrap_or(bytes);
        if line.len() + part.len() > LINE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line longer than {LINE} bytes"),
            ));
        }
        line.extend_from_slice(part);
        let used = part.len() + usize::from(end.is_some());
        read.consume(used);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

async fn send(write: &mut OwnedWriteHalf, reply: &[u8]) -> io::Result<()> {
    let send = async {
        write.write_all(reply).await?;
        write.write_all(b"\n").await
    };
    timeout(WRITE, send)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client does not read"))?
}
