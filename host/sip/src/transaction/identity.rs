//! What makes two requests one transaction: RFC 3261 s.17.2.3, and its older rule for peers of RFC 2543.
//!
//! With the magic cookie: branch, sent-by, method. Without: Request-URI, From tag, Call-ID, CSeq number, top Via, method; the To
//! tag is left out, since an ACK carries the answer's and the five others already decide. Branch and host are compared
//! without case (s.7.3.1). The method stands apart from the rest: an ACK finds its INVITE, a CANCEL finds any request.

use ahash::RandomState;
use smallvec::SmallVec;

use crate::message::{Malformed, Message, Method};

const COOKIE: u8 = 1;
const LEGACY: u8 = 2;

/// The identity of a server transaction, as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// What is equal for a request, its copies, its ACK and its CANCEL; then the method.
    text: SmallVec<[u8; 96]>,
    /// Where the method begins.
    method: usize,
}

impl Identity {
    /// Takes the identity of this request. Fails when Via, CSeq or Call-ID cannot be read.
    pub(super) fn read(&mut self, request: &Message) -> Result<(), Malformed> {
        let via = request.via()?;
        self.text.clear();
        match via.magic_branch() {
            Some(branch) => {
                self.text.push(COOKIE);
                self.push_lower(branch);
                self.push_lower(via.host);
                let port = via.port.map_or([0, 0], u16::to_be_bytes);
                self.text.extend_from_slice(&port);
            }
            None => {
                let from = request.from()?;
                self.text.push(LEGACY);
                self.push(request.request_uri());
                self.push(from.tag().unwrap_or_default());
                self.push(request.call_id()?);
                self.push(via.raw);
                let number = request.cseq()?.number;
                self.text.extend_from_slice(&number.to_be_bytes());
            }
        }
        self.method = self.text.len();
        self.text.extend_from_slice(request.method().as_bytes());
        Ok(())
    }

    /// Hash of all but the method.
    pub(super) fn hash(&self, keys: &RandomState) -> u64 {
        keys.hash_one(self.common())
    }

    /// Whether both are of one exchange, whatever the methods.
    pub(super) fn is_kin(&self, other: &Identity) -> bool {
        self.common() == other.common()
    }

    /// The method.
    pub(super) fn method(&self) -> Method<'_> {
        Method::of(self.text.get(self.method..).unwrap_or_default())
    }

    fn common(&self) -> &[u8] {
        self.text.get(..self.method).unwrap_or_default()
    }

    fn push(&mut self, part: &[u8]) {
        self.text.extend_from_slice(part);
        self.text.push(0);
    }

    fn push_lower(&mut self, part: &[u8]) {
        let from = self.text.len();
        self.text.extend_from_slice(part);
        if let Some(pushed) = self.text.get_mut(from..) {
            pushed.make_ascii_lowercase();
        }
        self.text.push(0);
    }
}

/// Hash of what a merged request shares with the one that came first: From tag, Call-ID, CSeq (s.8.2.2.2). `None` for a request
/// with a To tag, which is never merged.
pub(super) fn merge_hash(request: &Message, keys: &RandomState) -> Option<u64> {
    match request.to_tag() {
        Some(_) => None,
        None => exchange_hash(request, request.method(), keys),
    }
}

/// The merge hash of the request that this one belongs to: of the INVITE, for an ACK.
pub(super) fn exchange_hash(
    request: &Message,
    method: Method<'_>,
    keys: &RandomState,
) -> Option<u64> {
    let cseq = request.cseq().ok()?;
    let call_id = request.call_id().ok()?;
    Some(keys.hash_one((
        request.from_tag().unwrap_or_default(),
        call_id,
        cseq.number,
        method.as_bytes(),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(lines: &[&str]) -> Identity {
        let text = format!("{}\r\n\r\n", lines.join("\r\n"));
        let message = Message::parse(text.into_bytes().into()).unwrap();
        let mut identity = Identity::default();
        identity.read(&message).unwrap();
        identity
    }

    fn with_cookie(method: &str, via: &str) -> Identity {
        identity(&[
            &format!("{method} sip:bob@example.test SIP/2.0"),
            &format!("Via: {via}"),
            "From: <sip:alice@example.test>;tag=a",
            "To: <sip:bob@example.test>",
            "Call-ID: c",
            &format!("CSeq: 1 {method}"),
        ])
    }

    fn legacy(method: &str, via: &str, to: &str, cseq: u32) -> Identity {
        identity(&[
            &format!("{method} sip:bob@example.test SIP/2.0"),
            &format!("Via: {via}"),
            "From: <sip:alice@example.test>;tag=a",
            &format!("To: {to}"),
            "Call-ID: c",
            &format!("CSeq: {cseq} {method}"),
        ])
    }

    #[test]
    fn branch_and_sent_by_and_method_decide() {
        let via = "SIP/2.0/UDP pc33.example.test:5070;branch=z9hG4bKnashds8";
        let invite = with_cookie("INVITE", via);
        assert_eq!(invite, with_cookie("INVITE", via));
        assert!(invite.is_kin(&with_cookie("ACK", via)));
        assert_ne!(invite, with_cookie("ACK", via));
        for other in [
            "SIP/2.0/UDP pc33.example.test:5070;branch=z9hG4bKnashds9",
            "SIP/2.0/UDP pc34.example.test:5070;branch=z9hG4bKnashds8",
            "SIP/2.0/UDP pc33.example.test:5071;branch=z9hG4bKnashds8",
            "SIP/2.0/UDP pc33.example.test;branch=z9hG4bKnashds8",
        ] {
            assert!(!invite.is_kin(&with_cookie("INVITE", other)), "{other}");
        }
    }

    #[test]
    fn case_of_branch_and_host_does_not_decide() {
        assert!(
            with_cookie("INVITE", "SIP/2.0/UDP PC33.Example.TEST;branch=z9hG4bKAB").is_kin(
                &with_cookie("INVITE", "SIP/2.0/UDP pc33.example.test;branch=z9hg4bkab")
            )
        );
    }

    #[test]
    fn without_cookie_uri_tags_call_id_cseq_and_via_decide() {
        let via = "SIP/2.0/UDP old.example.test;branch=7";
        let invite = legacy("INVITE", via, "<sip:bob@example.test>", 4);
        let ack = legacy("ACK", via, "<sip:bob@example.test>;tag=b", 4);
        assert!(invite.is_kin(&ack), "the ACK has the answer's To tag");
        assert!(!invite.is_kin(&legacy("INVITE", via, "<sip:bob@example.test>", 5)));
        assert!(!invite.is_kin(&legacy(
            "INVITE",
            "SIP/2.0/UDP old.example.test",
            "<sip:bob@example.test>",
            4
        )));
    }

    #[test]
    fn an_old_identity_never_equals_a_new_one() {
        assert!(
            !legacy("INVITE", "SIP/2.0/UDP h;branch=z9hG4bK", "<sip:b@h>", 1)
                .is_kin(&with_cookie("INVITE", "SIP/2.0/UDP h;branch=z9hG4bKx"))
        );
    }
}
