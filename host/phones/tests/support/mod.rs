//! A SIP server of a hundred lines, which does what a stateless proxy and registrar must, unless a test makes it do wrong.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A message as lines.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What the server is about to do with a message, which a test may change.
#[derive(Debug)]
pub(crate) enum About {
    /// Pass it on, or answer it, so.
    Send(Message, SocketAddr),
    /// It came in like this, and is answered or passed on next.
    Came(Message),
}

/// How often a message is sent, or whether one that came is taken.
pub(crate) type Tamper = Box<dyn FnMut(&mut About) -> usize + Send>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn good() -> Server {
        Server::with(|_| 1)
    }

    /// One whose messages are changed, lost (0) or sent twice (2).
    pub(crate) fn with(tamper: impl FnMut(&mut About) -> usize + Send + 'static) -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let mut work = Work {
            socket,
            address,
            bound: HashMap::new(),
            tamper: Box::new(tamper),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                work.turn();
            }
        });
        Server {
            address,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    socket: UdpSocket,
    address: SocketAddr,
    /// Address of record to contact.
    bound: HashMap<String, String>,
    tamper: Tamper,
}

impl Work {
    fn turn(&mut self) {
        let mut space = [0; 65536];
        let Ok((length, from)) = self.socket.recv_from(&mut space) else {
            return;
        };
        let text = String::from_utf8_lossy(&space[..length]);
        let mut came = About::Came(Message::read(&text));
        if (self.tamper)(&mut came) == 0 {
            return;
        }
        let About::Came(mut message) = came else {
            return;
        };
        if message.start.starts_with("SIP/2.0") {
            message.fields.remove(0); // our Via
            let to = sent_by(&message.fields[0].1);
            return self.send(message, to);
        }
        let via = message.field("Via").unwrap();
        let filled = via.replace(
            ";rport",
            &format!(";rport={};received={}", from.port(), from.ip()),
        );
        message.set("Via", &filled);
        self.request(message, from);
    }

    fn request(&mut self, mut message: Message, from: SocketAddr) {
        let aor = |value: &str| value.split(['<', '>']).nth(1).unwrap().to_owned();
        match message.method() {
            "OPTIONS" => self.send(message.answer("200 OK"), from),
            "REGISTER" => {
                let mut answer = message.answer("200 OK");
                let contact = message.field("Contact").unwrap();
                let user = aor(&message.field("To").unwrap());
                if message.field("Expires").as_deref() == Some("0") {
                    self.bound.remove(&user);
                } else {
                    self.bound.insert(user, aor(&contact));
                    answer.push("Contact", &format!("{contact};expires=3600"));
                }
                self.send(answer, from);
            }
            _ => {
                if let Some(contact) = self.bound.get(message.uri()) {
                    message.start = format!("{} {contact} SIP/2.0", message.method());
                }
                let Ok(to) = message.uri().rsplit('@').next().unwrap().parse() else {
                    let answer = message.answer("404 Not Found");
                    return self.send(answer, from);
                };
                if let Some(index) = message.fields.iter().position(|(name, _)| name == "Route") {
                    message.fields.remove(index); // ours alone
                }
                let hops: u32 = message.field("Max-Forwards").unwrap().parse().unwrap();
                message.set("Max-Forwards", &(hops - 1).to_string());
                if message.method() == "INVITE" {
                    let route = format!("<sip:{};lr>", self.address);
                    message.fields.insert(0, ("Record-Route".into(), route));
                }
                let via = message.field("Via").unwrap();
                let branch = via.split("branch=z9hG4bK").nth(1).unwrap();
                let own = format!("SIP/2.0/UDP {};branch=z9hG4bKs{branch}", self.address);
                message.fields.insert(0, ("Via".into(), own));
                self.send(message, to);
            }
        }
    }

    fn send(&mut self, message: Message, to: SocketAddr) {
        let mut about = About::Send(message, to);
        let times = (self.tamper)(&mut about);
        let About::Send(message, to) = about else {
            return;
        };
        for _ in 0..times {
            self.socket.send_to(message.text().as_bytes(), to).unwrap();
        }
    }
}

impl Message {
    fn read(text: &str) -> Message {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        Message {
            start: lines.next().unwrap().to_owned(),
            fields: lines
                .map(|line| line.split_once(": ").unwrap())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    fn text(&self) -> String {
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        format!(
            "{}\r\n{}\r\n{}",
            self.start,
            fields.collect::<String>(),
            self.body
        )
    }

    /// The method of a request, or of the CSeq of an answer.
    pub(crate) fn method(&self) -> &str {
        let cseq = self.fields.iter().find(|(name, _)| name == "CSeq").unwrap();
        cseq.1.split(' ').nth(1).unwrap()
    }

    pub(crate) fn is_request(&self) -> bool {
        !self.start.starts_with("SIP/2.0")
    }

    /// The start line up to where it tells what this is: `INVITE` or `SIP/2.0 180`.
    pub(crate) fn is(&self, what: &str) -> bool {
        self.start.starts_with(what)
    }

    fn uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap()
    }

    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let field = self
            .fields
            .iter_mut()
            .find(|(known, _)| known == name)
            .unwrap();
        value.clone_into(&mut field.1);
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.fields.push((name.into(), value.into()));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.fields.retain(|(known, _)| known != name);
    }

    /// The server's own answer to this request.
    pub(crate) fn answer(&self, status: &str) -> Message {
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
        let mut fields: Vec<_> = self
            .fields
            .iter()
            .filter(|(name, _)| copied.contains(&name.as_str()))
            .cloned()
            .collect();
        for (name, value) in &mut fields {
            if name == "To" && !value.contains(";tag=") {
                value.push_str(";tag=server");
            }
        }
        fields.push(("Content-Length".into(), "0".into()));
        Message {
            start: format!("SIP/2.0 {status}"),
            fields,
            body: String::new(),
        }
    }
}

fn sent_by(via: &str) -> SocketAddr {
    via["SIP/2.0/UDP ".len()..]
        .split(';')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}
