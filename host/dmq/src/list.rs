//! Node lists: the bodies of `notification_peer`, a line for each node, `sip:192.0.2.1:5060;status=active\r\n`.
//!
//! What is written is what no version of Kamailio fails on: addresses only, the two statuses that all know, a line end behind the
//! last line, no blank line, at most [`MAX_NODES`] nodes and [`MAX_BYTES`] bytes. What is read may be anything: lines that are
//! no node are left out and counted, and no more than [`MAX_READ`] lines are looked at.

use switchhook_sip::message::{Scheme, Uri, host_ip};

use crate::node::Node;

/// The type of a list.
pub(crate) const CONTENT_TYPE: &str = "text/plain";
/// The most nodes that Kamailio's buffer of 1,024 bytes holds.
pub const MAX_NODES: usize = 28;
/// The most bytes of a list.
pub const MAX_BYTES: usize = 1000;
/// The most lines of a list that are read.
pub const MAX_READ: usize = 256;

/// What a list says of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It takes part.
    Active,
    /// It does not answer, or has said goodbye.
    Disabled,
    /// Not known yet.
    Pending,
}

/// One list, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// The nodes with an address, in order.
    pub nodes: Vec<(Node, Status)>,
    /// Lines that name a host without its address: left to whoever can look names up.
    pub names: usize,
    /// Lines that are none: garbage, unknown words.
    pub skipped: usize,
}

impl List {
    /// Whether there is something in it, and nothing of it is a list.
    pub fn is_garbage(&self) -> bool {
        self.skipped > 0 && self.names == 0 && self.nodes.is_empty()
    }
}

/// Reads a list, whatever its line ends.
pub fn read(body: &[u8]) -> List {
    let mut list = List::default();
    let lines = body.split(|b| matches!(b, b'\r' | b'\n'));
    for line in lines.filter(|line| !line.is_empty()).take(MAX_READ) {
        match read_line(line) {
            Some((Some(node), status)) => list.nodes.push((node, status)),
            Some((None, _)) => list.names += 1,
            None => list.skipped += 1,
        }
    }
    list
}

/// The node, where it is named by its address, and its status.
fn read_line(line: &[u8]) -> Option<(Option<Node>, Status)> {
    let uri = Uri::parse(line).ok()?;
    let status = match uri.params.value(b"status")? {
        b"active" => Status::Active,
        b"disabled" => Status::Disabled,
        b"pending" | b"not_active" => Status::Pending,
        _ => return None,
    };
    let has_port = uri.port != Some(0);
    let is_name = host_ip(uri.host).is_none() && !uri.host.is_empty();
    match Node::read(line) {
        Some(node) if has_port => Some((Some(node), status)),
        None if has_port && is_name && uri.scheme == Scheme::Sip => Some((None, status)),
        _ => None,
    }
}

/// Writes a list: ourselves with that status, then as many active nodes as a list may have, the first ones first.
pub fn write(own: Node, status: Status, active: impl IntoIterator<Item = Node>) -> String {
    let mut text = line(own, status);
    for node in active.into_iter().take(MAX_NODES - 1) {
        let line = line(node, Status::Active);
        if text.len() + line.len() > MAX_BYTES {
            break;
        }
        text += &line;
    }
    text
}

fn line(node: Node, status: Status) -> String {
    let status = match status {
        Status::Active => "active",
        Status::Disabled => "disabled",
        Status::Pending => "pending",
    };
    format!("{node};status={status}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> Node {
        Node::udp(([127, 0, 0, n], 5060).into())
    }

    #[test]
    fn a_list_is_written_as_kamailio_writes_it() {
        let text = write(node(11), Status::Active, [node(12)]);
        assert_eq!(
            text,
            "sip:127.0.0.11:5060;status=active\r\nsip:127.0.0.12:5060;status=active\r\n"
        );
        let list = read(text.as_bytes());
        assert_eq!(
            list.nodes,
            [(node(11), Status::Active), (node(12), Status::Active)]
        );
        assert_eq!(list.skipped, 0);
    }

    #[test]
    fn a_list_of_many_stays_within_what_kamailio_holds() {
        let all = (0..=255).map(|n| Node::udp(([127, 100, 200, n], 65060).into()));
        let text = write(node(1), Status::Active, all);
        assert!(text.len() <= MAX_BYTES && text.ends_with("\r\n"));
        assert!(read(text.as_bytes()).nodes.len() <= MAX_NODES);
    }

    #[test]
    fn lines_that_are_no_nodes_are_left_out() {
        let list = read(b"garbage\r\n\r\nsip:nohost.invalid:5060;status=active\r\nsip:127.0.0.12:5060;status=bogus\r\n\
            sip:127.0.0.12:5060\r\nsip:127.0.0.12:0;status=active\nsip:127.0.0.12:5060;status=not_active");
        assert_eq!(list.nodes, [(node(12), Status::Pending)]);
        assert_eq!((list.skipped, list.names), (4, 1));
        assert!(!list.is_garbage() && !read(b"").is_garbage());
        assert!(!read(b"sip:nohost.invalid:5060;status=active\r\n").is_garbage());
        assert!(read(b"garbage\r\n").is_garbage());
        let long = "sip:127.0.0.1:5060;status=active\n".repeat(1000);
        assert_eq!(read(long.as_bytes()).nodes.len(), MAX_READ);
    }
}
