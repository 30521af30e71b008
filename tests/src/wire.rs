//! Hosts of their own on a wire that loses, doubles and delays, and can be cut: Linux network namespaces joined by tests/src/wire.py.
//!
//! Needs root, Python and TUN devices; [`Wire::new`] says where they lack.

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::needs::left_out;
use crate::place::root;

/// A wire with hosts on it. They are gone when it is dropped.
pub struct Wire {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    hosts: Vec<Host>,
}

/// A host on a wire.
#[derive(Clone)]
pub struct Host {
    /// Its namespace.
    pub namespace: String,
    /// Its address.
    pub ip: Ipv4Addr,
}

impl Wire {
    /// So many hosts. None where the machine does not allow it, which has been noted.
    pub fn new(count: u8) -> Option<Wire> {
        let hosts: Vec<Host> = (1..=count)
            .map(|n| Host {
                namespace: format!("switchhook-{}-{n}", std::process::id()),
                ip: Ipv4Addr::new(10, 213, 7, n),
            })
            .collect();
        let mut command = Command::new("python3");
        command.arg(root().join("tests/src/wire.py"));
        for host in &hosts {
            command.arg(&host.namespace).arg(host.ip.to_string());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            left_out("python3 is not installed");
            return None;
        };
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut wire = Wire {
            child,
            input,
            output,
            hosts,
        };
        if wire.line() != "ready" {
            left_out("no network namespaces with TUN devices can be made here");
            return None;
        }
        Some(wire)
    }

    /// The hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Changes the wire: `loss 30`, `double 10`, `late 20`, `split ADDRESS...`, `heal`.
    pub fn is(&mut self, how: &str) {
        let input = self.input.as_mut().expect("an open wire");
        writeln!(input, "{how}").expect("an open wire");
        assert_eq!(self.line(), "ok", "{how}");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let _ = self.output.read_line(&mut line);
        line.trim().to_owned()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        self.input.take();
        let _ = self.child.wait();
    }
}
