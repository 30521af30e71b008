//! A call of two peers of few words, message by message: INVITE, what comes back, and requests within the dialog from either side.

use std::net::SocketAddr;

use crate::{Peer, Place, answer, status};

/// Two phones that may call each other through a proxy.
pub struct Phones {
    /// Who calls.
    pub alice: Peer,
    /// Who is called.
    pub bob: Peer,
}

/// A call that bob was rung for.
pub struct Call<'a> {
    phones: &'a Phones,
    invite: String,
    /// As it came to bob.
    pub rung: String,
    answered: String,
    tag: String,
    cseq: u32,
}

impl Phones {
    /// At two ports of a place.
    pub fn new(place: &Place, ports: [u16; 2]) -> Phones {
        let [alice, bob] = ports.map(|port| Peer::new(place, port));
        Phones { alice, bob }
    }

    /// Alice calls bob through a proxy, with further header lines; her phone rings.
    pub fn call(&self, proxy: SocketAddr, extra: &str) -> Call<'_> {
        let invite = self.invite(extra);
        self.alice.send(invite.as_bytes(), proxy);
        let rung = next(&self.bob, &line(&invite, "Call-ID"));
        assert!(rung.starts_with("INVITE "), "{rung}");
        let tag = format!("b{}", self.bob.at().port());
        Call {
            phones: self,
            invite,
            rung,
            answered: String::new(),
            tag,
            cseq: 1,
        }
    }

    /// An INVITE of alice's to bob's phone.
    pub fn invite(&self, extra: &str) -> String {
        let contact = format!("Contact: <sip:alice@{}>\r\n{extra}", self.alice.at());
        let uri = format!("sip:bob@{}", self.bob.at());
        self.alice.request("INVITE", &uri, "alice", &contact)
    }
}

impl Call<'_> {
    /// Its Call-ID.
    pub fn id(&self) -> String {
        line(&self.invite, "Call-ID")
    }

    /// The parameter of our Record-Route that names the dialog.
    pub fn did(&self) -> String {
        let route = line(&self.rung, "Record-Route");
        let did = route.split([';', '>']).find_map(|p| p.strip_prefix("did="));
        did.unwrap_or_default().to_owned()
    }

    /// Bob answers; gives what came to alice.
    pub fn answers(&mut self, proxy: SocketAddr, with: &str) -> String {
        let contact = format!("Contact: <sip:bob@{}>\r\n", self.phones.bob.at());
        let reply = answer(&self.rung, with, &self.tag, &contact);
        self.phones.bob.send(&reply, proxy);
        loop {
            let came = next(&self.phones.alice, &self.id());
            if status(&came) != 100 {
                if status(&came) < 300 {
                    self.answered.clone_from(&came);
                }
                return came;
            }
        }
    }

    /// Alice sends a request within the dialog through a proxy; gives what came to bob, which he answers with 200 unless it is ACK.
    pub fn alice_sends(&mut self, method: &str, proxy: SocketAddr) -> String {
        self.sends(method, proxy, true)
    }

    /// The same from bob.
    pub fn bob_sends(&mut self, method: &str, proxy: SocketAddr) -> String {
        self.sends(method, proxy, false)
    }

    /// The BYE that comes to each side, alice's first; both are answered.
    pub fn byes(&self) -> [String; 2] {
        let Phones { alice, bob } = self.phones;
        [alice, bob].map(|phone| {
            let bye = loop {
                let came = next(phone, &self.id());
                if came.starts_with("BYE ") {
                    break came;
                }
            };
            let via = line(&bye, "Via");
            let sent_by = via.split([' ', ';']).nth(1).and_then(|at| at.parse().ok());
            phone.send(
                &answer(&bye, "200 OK", "", ""),
                sent_by.expect("an address"),
            );
            bye
        })
    }

    fn sends(&mut self, method: &str, proxy: SocketAddr, caller: bool) -> String {
        let Phones { alice, bob } = self.phones;
        let (sender, taker) = if caller { (alice, bob) } else { (bob, alice) };
        sender.send(self.within(method, caller).as_bytes(), proxy);
        let came = loop {
            let came = next(taker, &self.id());
            // copies of what was sent before
            if came.starts_with(method) {
                break came;
            }
        };
        if method == "ACK" {
            return came;
        }
        let contact = format!("Contact: <sip:x@{}>\r\n", taker.at());
        taker.send(&answer(&came, "200 OK", "", &contact), proxy);
        loop {
            let back = next(sender, &self.id());
            if status(&back) >= 200 && line(&back, "CSeq").ends_with(method) {
                assert_eq!(status(&back), 200, "{back}");
                return came;
            }
        }
    }

    /// A request within the dialog as its sender writes it.
    pub fn within(&mut self, method: &str, caller: bool) -> String {
        let Phones { alice, bob } = self.phones;
        let (sender, taker) = if caller { (alice, bob) } else { (bob, alice) };
        if method != "ACK" {
            self.cseq += 1;
        }
        let cseq = if method == "ACK" { 1 } else { self.cseq };
        let (from, to) = (line(&self.answered, "From"), line(&self.answered, "To"));
        let (from, to) = if caller { (from, to) } else { (to, from) };
        let mut routes: Vec<_> = lines(&self.rung, "Record-Route");
        if caller {
            routes = lines(&self.answered, "Record-Route");
            routes.reverse();
        }
        let routes: String = routes.iter().map(|r| format!("Route: {r}\r\n")).collect();
        format!(
            "{method} sip:x@{} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{method}{}{}\r\nMax-Forwards: 70\r\n\
             {routes}From: {from}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:x@{at}>\r\nContent-Length: 0\r\n\r\n",
            taker.at(),
            self.id().replace(['@', ':', '.'], ""),
            cseq,
            self.id(),
            at = sender.at(),
        )
    }
}

/// The value of a message's first line of that name.
pub fn line(message: &str, name: &str) -> String {
    lines(message, name).into_iter().next().unwrap_or_default()
}

fn lines(message: &str, name: &str) -> Vec<String> {
    let head = message.lines().take_while(|line| !line.is_empty());
    head.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .map(str::to_owned)
        .collect()
}

/// What comes next that is of that call.
fn next(phone: &Peer, call_id: &str) -> String {
    loop {
        let message = text(phone.receive());
        if line(&message, "Call-ID") == call_id {
            return message;
        }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("a message of ASCII")
}
