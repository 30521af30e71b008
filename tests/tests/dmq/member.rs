//! A member made by hand: it joins, says what it is told to say, answers what it is sent, and shows it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use switchhook_tests::{Peer, Place, answer};

use super::{SOON, kdmq};

/// How long it is still after the last message of a burst.
const QUIET: Duration = Duration::from_millis(700);

/// See the module's header.
pub(crate) struct Member {
    peer: Peer,
    node: SocketAddr,
    said: Cell<u32>,
    /// What came while an answer was waited for: Kamailio tells everything before it says that it will.
    meanwhile: RefCell<Vec<String>>,
}

/// A message that came to it.
pub(crate) struct Heard {
    pub(crate) channel: String,
    pub(crate) body: String,
    /// The bytes of the datagram.
    pub(crate) length: usize,
}

impl Member {
    /// At `port`, of the bus that `node` is on.
    pub(crate) fn joins(place: &Place, port: u16, node: SocketAddr) -> Member {
        let member = Member {
            peer: Peer::new(place, port),
            node,
            said: Cell::new(0),
            meanwhile: RefCell::default(),
        };
        let list = format!("sip:{};status=active\r\n", member.peer.at());
        assert_eq!(member.says("notification_peer", &list), 200);
        member
    }

    /// Says something, and gives the answer's status. What comes meanwhile is answered.
    pub(crate) fn says(&self, channel: &str, body: &str) -> u16 {
        self.said.set(self.said.get() + 1);
        let branch = format!("m{}x{}", self.peer.at().port(), self.said.get());
        let at = self.peer.at();
        let request = kdmq(&self.peer, at, self.node, channel, &branch, body);
        self.peer.send(request.as_bytes(), self.node);
        let end = Instant::now() + SOON;
        while let Some(came) = self.next(end.saturating_duration_since(Instant::now())) {
            if came.starts_with("SIP/2.0 ") && came.contains(&branch) {
                return switchhook_tests::status(&came);
            }
            self.meanwhile.borrow_mut().push(came);
        }
        panic!("no answer to {channel} {body}");
    }

    /// Everything that comes until nothing does.
    pub(crate) fn hears(&self) -> Vec<Heard> {
        let mut heard = Vec::new();
        let before = self.meanwhile.take();
        let all = before
            .into_iter()
            .chain(std::iter::from_fn(|| self.next(QUIET)));
        for came in all {
            let channel = came.strip_prefix("KDMQ sip:");
            let channel = channel.and_then(|rest| rest.split('@').next());
            if let (Some(channel), Some((_, body))) = (channel, came.split_once("\r\n\r\n")) {
                // Pings do not count as noise.
                if channel == "notification_peer" && !heard.is_empty() {
                    continue;
                }
                heard.push(Heard {
                    channel: channel.to_owned(),
                    body: body.to_owned(),
                    length: came.len(),
                });
            }
        }
        heard
    }

    /// Asks for everything of a channel and gives the bodies that come.
    pub(crate) fn asks(&self, channel: &str, question: &str) -> Vec<Heard> {
        while self.next(Duration::from_millis(50)).is_some() {}
        self.meanwhile.take();
        assert_eq!(self.says(channel, question), 200);
        let mut heard = self.hears();
        heard.retain(|one| one.channel == channel && one.body != question);
        heard
    }

    /// All contacts of the node, as it tells them.
    pub(crate) fn contacts(&self) -> Vec<Value> {
        let mut contacts = Vec::new();
        for heard in self.asks("usrloc", r#"{"action":3}"#) {
            let body: Value = serde_json::from_str(&heard.body).expect("JSON");
            match body.get("multi").and_then(Value::as_object) {
                Some(many) => contacts.extend(many.values().cloned()),
                None => contacts.push(body),
            }
        }
        contacts.sort_by_key(|contact| contact["ruid"].to_string());
        contacts.dedup_by_key(|contact| contact["ruid"].to_string());
        contacts
    }

    fn next(&self, limit: Duration) -> Option<String> {
        let came = self.peer.receive_within(limit)?;
        let came = String::from_utf8_lossy(&came).into_owned();
        if came.starts_with("KDMQ ") {
            let from = sender(&came).unwrap_or(self.node);
            self.peer.send(&answer(&came, "200 OK", "m", ""), from);
        }
        Some(came)
    }
}

/// Who sent a request, as its Via says.
pub(crate) fn sender(request: &str) -> Option<SocketAddr> {
    let mut lines = request.lines();
    let via = lines.find_map(|line| line.strip_prefix("Via: SIP/2.0/UDP "))?;
    let at = via.split(';').next()?;
    // Kamailio leaves a default port out.
    at.parse()
        .ok()
        .or_else(|| format!("{at}:5060").parse().ok())
}
