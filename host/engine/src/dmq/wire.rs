//! Our tables' entries as they are written on the bus, and back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use switchhook_dmq::Now;
use switchhook_dmq::htable::Value;
use switchhook_dmq::usrloc::Contact;
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::{Uri, host_ip};
use switchhook_sip::registrar::{Binding, Marks, Parts, canonical};
use switchhook_store::Value as Stored;

/// How addresses of record are written on the bus: `alice` for those of one domain, `alice@other.test` for those of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aors {
    /// The domain that is left out.
    pub domain: String,
}

impl Aors {
    pub(super) fn to_wire<'a>(&self, aor: &'a str) -> &'a str {
        let bare = aor.split_once(':').map_or(aor, |(_, bare)| bare);
        match bare.split_once('@') {
            Some((user, domain)) if domain.eq_ignore_ascii_case(&self.domain) => user,
            _ => bare,
        }
    }

    /// `None` where it is no address of record.
    pub(super) fn ours(&self, aor: &str) -> Option<String> {
        let uri = match aor.contains('@') {
            true => format!("sip:{aor}"),
            false => format!("sip:{aor}@{}", self.domain),
        };
        let uri = Uri::parse(uri.as_bytes()).ok()?;
        (!uri.host.is_empty()).then(|| canonical(&uri))
    }
}

/// A value as the bus writes it. `None` for bytes that are no text.
pub(super) fn value(stored: &Stored) -> Option<Value> {
    Some(match stored {
        Stored::Integer(number) => Value::Integer(*number),
        Stored::Text(text) => Value::Text((**text).into()),
        Stored::Bytes(bytes) => Value::Text(std::str::from_utf8(bytes).ok()?.into()),
    })
}

/// A pattern of `*` and `?` as a regular expression of any kind.
pub(super) fn pattern(glob: &str) -> String {
    let mut pattern = String::from("^");
    for c in glob.chars() {
        match c {
            '*' => pattern += ".*",
            '?' => pattern.push('.'),
            c if r"\.+()[]{}|^$".contains(c) => pattern.extend(['\\', c]),
            c => pattern.push(c),
        }
    }
    pattern.push('$');
    pattern
}

/// When that was, in seconds since 1970.
pub(super) fn unix_of(now: Now, then: Instant) -> u64 {
    let since = now.at.saturating_duration_since(then).as_millis();
    now.unix_ms
        .saturating_sub(u64::try_from(since).unwrap_or(u64::MAX))
        / 1000
}

/// When that was, by our clock, given it in seconds since 1970; now, where that is still to come.
pub(super) fn instant_of(now: Now, unix: u64) -> Instant {
    let since = Duration::from_secs(now.unix().saturating_sub(unix));
    now.at.checked_sub(since).unwrap_or(now.at)
}

/// A contact as it is told.
pub(super) fn to_wire(now: Now, aors: &Aors, aor: &str, binding: &Binding) -> Contact {
    let from = binding.received();
    let ruid = name(aor, binding);
    let marks = binding.marks();
    Contact {
        aor: aors.to_wire(aor).to_owned(),
        ruid,
        uri: text(binding.uri()),
        received: received(binding),
        sock: match from.local.ip().is_unspecified() {
            // Nobody told.
            true => String::new(),
            false => format!("{}:{}", from.transport.uri_param(), from.local),
        },
        path: text(binding.path_list()),
        call_id: text(binding.call_id()),
        user_agent: text(binding.user_agent()),
        instance: text(binding.instance()),
        expires: now.unix() + u64::from(binding.remaining(now.at)),
        cseq: binding.cseq(),
        flags: marks.flags,
        cflags: marks.branch_flags,
        q: match binding.q() {
            1000 => -1,
            q => q.into(),
        },
        last_modified: unix_of(now, binding.modified()),
        methods: marks.methods,
        reg_id: binding.reg_id(),
        server_id: marks.server,
    }
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// A contact's name on the bus.
pub(super) fn name(aor: &str, binding: &Binding) -> String {
    match binding.ruid() {
        b"" => ruid(aor, binding),
        named => text(named),
    }
}

/// The name of a contact that no other node has named: the same whenever it is asked for, and at each of our nodes.
fn ruid(aor: &str, binding: &Binding) -> String {
    let flow = !binding.instance().is_empty() && binding.reg_id() > 0;
    let own = if flow {
        binding.instance()
    } else {
        binding.uri()
    };
    let reg_id = if flow { binding.reg_id() } else { 0 };
    // FNV-1a, 64 bits: told apart within one address of record, which is all that is asked of it.
    let step = |hash: u64, b: &u8| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
    let bytes = aor.as_bytes().iter().chain(&[0]).chain(own);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, step);
    format!("swhk-{hash:016x}-{reg_id:x}")
}

/// Where to send to reach a contact, where its URI does not say so.
fn received(binding: &Binding) -> String {
    let from = binding.received();
    let uri = Uri::parse(binding.uri()).ok();
    let at = uri.map(|uri| (uri.ip(), uri.port.unwrap_or(from.transport.default_port())));
    let same = at == Some((Some(from.remote.ip()), from.remote.port()));
    let named = at.is_none_or(|(ip, _)| ip.is_none());
    match from.transport {
        _ if same || named || from.remote.ip().is_unspecified() => String::new(),
        Transport::Udp => format!("sip:{}", from.remote),
        other => format!("sip:{};transport={}", from.remote, other.uri_param()),
    }
}

/// A contact as it is kept. `None` where it cannot be.
pub(super) fn from_wire(now: Now, contact: &Contact, behind: i64) -> Option<Binding> {
    let uri = Uri::parse(contact.uri.as_bytes()).ok()?;
    let q = u16::try_from(contact.q).unwrap_or(1000).min(1000);
    Binding::new(&Parts {
        uri: contact.uri.as_bytes(),
        call_id: contact.call_id.as_bytes(),
        user_agent: contact.user_agent.as_bytes(),
        instance: contact.instance.as_bytes(),
        path: contact.path.as_bytes(),
        ruid: contact.ruid.as_bytes(),
        q,
        cseq: contact.cseq,
        reg_id: contact.reg_id,
        modified: instant_of(now, contact.last_modified.saturating_add_signed(behind)),
        expires: now.at + contact.left(now, behind),
        received: source(contact, &uri),
        marks: Marks {
            flags: contact.flags,
            branch_flags: contact.cflags,
            methods: contact.methods,
            server: contact.server_id,
        },
    })
}

/// Where a contact's REGISTER came from, as far as it is told: the address to reach it at. No flow of ours leads there.
fn source(contact: &Contact, uri: &Uri<'_>) -> Source {
    let seen = Uri::parse(contact.received.as_bytes()).ok();
    let at = seen
        .as_ref()
        .filter(|uri| uri.ip().is_some())
        .unwrap_or(uri);
    let transport = at
        .params
        .value(b"transport")
        .and_then(Transport::from_bytes);
    let transport = transport.unwrap_or(Transport::Udp);
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let remote = SocketAddr::new(
        at.ip().unwrap_or(nowhere),
        at.port.unwrap_or(transport.default_port()),
    );
    Source {
        transport,
        remote,
        local: socket(&contact.sock).unwrap_or(SocketAddr::new(nowhere, 0)),
        flow: FlowId::NONE,
    }
}

/// The address of `udp:192.0.2.1:5060`.
fn socket(text: &str) -> Option<SocketAddr> {
    let (_, address) = text.split_once(':')?;
    let (host, port) = address.rsplit_once(':')?;
    Some(SocketAddr::new(
        host_ip(host.as_bytes())?,
        port.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_record_lose_our_domain_and_get_it_back() {
        let aors = Aors {
            domain: "example.test".into(),
        };
        for (ours, theirs) in [
            ("sip:alice@example.test", "alice"),
            ("sip:alice@other.test", "alice@other.test"),
        ] {
            assert_eq!(aors.to_wire(ours), theirs);
            assert_eq!(aors.ours(theirs).as_deref(), Some(ours));
        }
        assert_eq!(aors.ours("a b"), None);
    }

    #[test]
    fn a_contact_comes_back_as_it_went() {
        let at = Instant::now() + Duration::from_secs(10_000);
        let now = Now {
            at,
            unix_ms: 1_795_252_744_500,
        };
        let contact = Contact {
            aor: "alice".into(),
            ruid: "uloc-1-6b0161fb-69e0-2".into(),
            uri: "sip:alice@10.0.0.1:5090".into(),
            received: "sip:192.0.2.7:1024;transport=tcp".into(),
            sock: "tcp:127.0.0.11:5060".into(),
            path: "<sip:127.0.0.41;lr>".into(),
            call_id: "other2".into(),
            user_agent: "ua".into(),
            instance: "<urn:uuid:0>".into(),
            expires: 1_795_253_344,
            cseq: 1,
            flags: 2,
            cflags: 64,
            q: 500,
            last_modified: 1_795_252_740,
            methods: 0x1fff,
            reg_id: 1,
            server_id: 3,
        };
        let aors = Aors {
            domain: "example.test".into(),
        };
        let binding = from_wire(now, &contact, 0).unwrap();
        assert_eq!(
            to_wire(now, &aors, "sip:alice@example.test", &binding),
            contact
        );
    }

    #[test]
    fn patterns_become_expressions() {
        assert_eq!(pattern("a*b?.c"), r"^a.*b.\.c$");
    }
}
