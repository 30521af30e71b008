//! Any messages of a member, one after the other: each request is answered, what is answered with an error changes no table, and
//! nothing is sent that is longer than Kamailio reads.
//!
//! Input: messages with a line `--` between them; `CHANNEL BODY` is put into an envelope.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use switchhook_dmq::dialog::Dialog;
use switchhook_dmq::htable::Item;
use switchhook_dmq::usrloc::Contact;
use switchhook_dmq::{Bus, Change, Config, Node, Now, Output, Refused, Stores, envelope, own};
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::Message;

const CHANNELS: [&str; 5] = ["htable", "usrloc", "dialog", "notification_peer", "talk"];

/// Tables that take everything, and count.
#[derive(Default)]
struct Count(usize);

impl Stores for Count {
    fn apply(&mut self, _: Now, change: &Change) -> Result<(), Refused> {
        self.0 += 1;
        match change {
            Change::Dialog(_) => Err(Refused::Unknown),
            _ => Ok(()),
        }
    }

    fn put(&mut self, _: Now, _: &own::Item) -> Result<(), Refused> {
        self.0 += 1;
        Ok(())
    }

    fn htable_part(&self, _: Now, _: &str, _: usize) -> Option<Vec<Item>> {
        None
    }

    fn htable_names(&self, _: Now, _: &str, _: &mut dyn FnMut(&str)) {}

    fn htable_item(&self, _: Now, _: &str, _: &str) -> Option<Item> {
        None
    }

    fn contacts_part(&self, _: Now, _: usize) -> Option<Vec<Contact>> {
        None
    }

    fn aors(&self, _: Now, _: &mut dyn FnMut(&str, &str)) {}

    fn contacts_of(&self, _: Now, _: &str) -> Vec<Contact> {
        Vec::new()
    }

    fn dialogs_part(&self, _: Now, _: usize) -> Option<Vec<Dialog>> {
        None
    }
}

fuzz_target!(|data: &[u8]| {
    let own = Node::udp("127.0.0.1:5060".parse().expect("an address"));
    let mut config = Config::new(own, [1, 2, 3, 4]);
    config.allow = vec!["127.0.0.0/8".parse().expect("a range")];
    config.tables = ["ht".into()].into();
    config.contacts = true;
    config.dialogs = true;
    config.scripts = true;
    let mut now = Now {
        at: Instant::now(),
        unix_ms: 1_795_252_740_000,
    };
    let (mut bus, mut tables) = (Bus::new(now, config), Count::default());
    let source = Source {
        transport: Transport::Udp,
        remote: "127.0.0.2:5060".parse().expect("an address"),
        local: own.address,
        flow: FlowId::new(1),
    };
    let text = String::from_utf8_lossy(data);
    for (n, part) in text.split("\n--\n").take(16).enumerate() {
        now = now.after(Duration::from_millis(700));
        let message = match part.split_once(' ') {
            Some((channel, body)) if CHANNELS.contains(&channel) => kdmq(channel, n, body),
            _ => part.to_owned(),
        };
        let Ok(message) = Message::parse(message.into()) else {
            continue;
        };
        if !envelope::is_bus(&message) {
            continue;
        }
        let (before, mut status) = (tables.0, None);
        bus.receive(now, &source, &message, &mut tables);
        bus.on_timer(now, &mut tables);
        while let Some(output) = bus.poll() {
            let Output::Send { destination, bytes } = output else {
                continue;
            };
            assert!(bytes.len() < 32_767, "too long for Kamailio");
            let sent = Message::parse(bytes).expect("a message");
            if !sent.is_request() && destination.remote == source.remote {
                status = status.or(Some(sent.status()));
            }
        }
        if message.is_request() && status.is_some_and(|status| (400..500).contains(&status)) {
            assert_eq!(tables.0, before, "what was refused changed something");
        }
    }
});

fn kdmq(channel: &str, n: usize, body: &str) -> String {
    format!(
        "KDMQ sip:{channel}@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK{n}\r\n\
         To: <sip:{channel}@127.0.0.1:5060>\r\nFrom: <sip:{channel}@127.0.0.2:5060>;tag=1\r\nCSeq: 10 KDMQ\r\n\
         Call-ID: {n}\r\nMax-Forwards: 2\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
