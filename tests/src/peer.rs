//! A SIP peer of few words: it sends exact bytes and shows what came back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::Place;

/// How long an answer may take.
const SOON: Duration = Duration::from_secs(5);

/// A UDP socket at a port of the place.
pub struct Peer {
    socket: UdpSocket,
}

/// A TCP connection.
pub struct Stream {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Peer {
    /// At `port`.
    pub fn new(place: &Place, port: u16) -> Peer {
        let socket = UdpSocket::bind(place.at(port)).expect("a free port");
        socket.set_read_timeout(Some(SOON)).expect("a time limit");
        Peer { socket }
    }

    /// Where it is.
    pub fn at(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket")
    }

    /// Send one datagram.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) {
        self.socket
            .send_to(bytes, to)
            .expect("loopback takes a datagram");
    }

    /// The next datagram, if one comes within `limit`.
    pub fn receive_within(&self, limit: Duration) -> Option<Vec<u8>> {
        self.socket
            .set_read_timeout(Some(limit))
            .expect("a time limit");
        let mut buffer = vec![0; 65536];
        let length = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// The next datagram, which must come soon.
    pub fn receive(&self) -> Vec<u8> {
        self.receive_within(SOON)
            .unwrap_or_else(|| panic!("nothing came to {} within {SOON:?}", self.at()))
    }

    /// Send a request and give its final answer's status (or the first one's, if none is final) and text. Provisional answers are
    /// passed over.
    pub fn ask(&self, request: &str, to: SocketAddr) -> (u16, String) {
        self.send(request.as_bytes(), to);
        let end = Instant::now() + SOON;
        loop {
            let answer = String::from_utf8_lossy(&self.receive()).into_owned();
            let status = status(&answer);
            if status >= 200 {
                return (status, answer);
            }
            assert!(Instant::now() < end, "no final answer to\n{request}");
        }
    }

    /// A request with what every request has, from `user`.
    pub fn request(&self, method: &str, uri: &str, user: &str, extra: &str) -> String {
        let at = self.at();
        let id = unique();
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@example.test>;tag={id}\r\nTo: <{uri}>\r\nCall-ID: {id}@{at}\r\nCSeq: 1 {method}\r\n\
             {extra}Content-Length: 0\r\n\r\n"
        )
    }

    /// Register `contact` for `user`, without a password.
    pub fn registers(&self, user: &str, contact: &str, registrar: SocketAddr) {
        let register = self.request(
            "REGISTER",
            "sip:example.test",
            user,
            &format!("Contact: <{contact}>\r\nExpires: 600\r\n"),
        );
        let register = register.replace(
            "To: <sip:example.test>",
            &format!("To: <sip:{user}@example.test>"),
        );
        let (status, answer) = self.ask(&register, registrar);
        assert_eq!(status, 200, "REGISTER of {user}: {answer}");
        assert!(
            answer.contains(contact.split(';').next().unwrap_or(contact)),
            "the contact is listed: {answer}"
        );
    }
}

impl Stream {
    /// Connect.
    pub fn connect(to: SocketAddr) -> Stream {
        let stream = TcpStream::connect_timeout(&to, SOON).expect("a listener");
        stream.set_read_timeout(Some(SOON)).expect("a time limit");
        stream.set_nodelay(true).expect("small segments at once");
        Stream {
            stream,
            rest: Vec::new(),
        }
    }

    /// Write bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("an open connection");
    }

    /// The next whole message, cut by its Content-Length; none if the other side closed.
    pub fn receive(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.message_end() {
                let message: Vec<u8> = self.rest.drain(..end).collect();
                return Some(String::from_utf8_lossy(&message).into_owned());
            }
            let mut buffer = [0; 16384];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.rest.extend_from_slice(&buffer[..length]),
                Err(error) => panic!("nothing came by TCP: {error}"),
            }
        }
    }

    fn message_end(&mut self) -> Option<usize> {
        // keep-alives between messages
        while self.rest.starts_with(b"\r\n") {
            self.rest.drain(..2);
        }
        let head = self
            .rest
            .windows(4)
            .position(|window| window == b"\r\n\r\n")?
            + 4;
        let text = String::from_utf8_lossy(&self.rest[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| {
            line.strip_prefix("content-length:")
                .or_else(|| line.strip_prefix("l:"))
        });
        let end = head
            + length
                .and_then(|value| value.trim().parse::<usize>().ok())
                .unwrap_or(0);
        (self.rest.len() >= end).then_some(end)
    }
}

/// The status of a response, 0 of a request.
pub fn status(message: &str) -> u16 {
    message
        .strip_prefix("SIP/2.0 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}

/// An answer to `request` with what RFC 3261 section 8.2.6.2 copies, and `extra` lines; `tag` goes to a To without one.
pub fn answer(request: &str, status: &str, tag: &str, extra: &str) -> Vec<u8> {
    let copied = ["Via:", "Record-Route:", "From:", "To:", "Call-ID:", "CSeq:"];
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        if copied.iter().any(|name| line.starts_with(name)) {
            text.push_str(line);
            if line.starts_with("To:") && !line.contains(";tag=") && !tag.is_empty() {
                text.push_str(&format!(";tag={tag}"));
            }
            text.push_str("\r\n");
        }
    }
    text.push_str(extra);
    text.push_str("Content-Length: 0\r\n\r\n");
    text.into_bytes()
}

/// A word that no other message of this run has.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!(
        "t{}x{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
