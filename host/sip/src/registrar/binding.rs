//! One registered contact, small: its texts share one allocation.

use std::fmt;
use std::time::{Duration, Instant};

use crate::flow::Source;
use crate::message::split_value;

/// The most bytes of text that one contact may keep.
pub const MAX_TEXT: usize = 4096;
/// The most bytes of the user agent's name that are kept.
const MAX_AGENT: usize = 128;

/// A registered contact.
#[derive(Clone, PartialEq)]
pub struct Binding {
    /// URI, Call-ID, User-Agent, instance, Path, name: one behind the other.
    text: Box<[u8]>,
    /// Where each of them ends.
    ends: [u16; 6],
    q: u16,
    cseq: u32,
    reg_id: u32,
    modified: Instant,
    expires: Instant,
    received: Source,
    marks: Marks,
}

/// What other servers keep with a contact and we only carry: bits of theirs, and which of them it registered at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Flags of its requests.
    pub flags: u32,
    /// Flags of its branches, such as that it is behind NAT.
    pub branch_flags: u32,
    /// The methods it takes; all where none was named.
    pub methods: u32,
    /// The number of the server it registered at; 0 for this one.
    pub server: u32,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            flags: 0,
            branch_flags: 0,
            methods: u32::MAX,
            server: 0,
        }
    }
}

/// What a contact is made of: each as the getter of its name on [`Binding`] gives it.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "said at the getters")]
pub struct Parts<'a> {
    pub uri: &'a [u8],
    pub call_id: &'a [u8],
    pub user_agent: &'a [u8],
    pub instance: &'a [u8],
    /// A list of Route values.
    pub path: &'a [u8],
    pub ruid: &'a [u8],
    pub q: u16,
    pub cseq: u32,
    pub reg_id: u32,
    pub modified: Instant,
    pub expires: Instant,
    pub received: Source,
    pub marks: Marks,
}

impl Binding {
    /// `None` where the texts are longer than [`MAX_TEXT`].
    pub fn new(parts: &Parts<'_>) -> Option<Self> {
        let agent = parts.user_agent;
        let agent = agent.get(..MAX_AGENT).unwrap_or(agent);
        let texts = [
            parts.uri,
            parts.call_id,
            agent,
            parts.instance,
            parts.path,
            parts.ruid,
        ];
        let text = texts.concat().into_boxed_slice();
        if text.len() > MAX_TEXT {
            return None;
        }
        let mut end = 0u16;
        let ends = texts.map(|text| {
            end = end.saturating_add(u16::try_from(text.len()).unwrap_or(u16::MAX));
            end
        });
        Some(Self {
            text,
            ends,
            q: parts.q,
            cseq: parts.cseq,
            reg_id: parts.reg_id,
            modified: parts.modified,
            expires: parts.expires,
            received: parts.received,
            marks: parts.marks,
        })
    }

    fn part(&self, n: usize) -> &[u8] {
        let end = self.ends.get(n).copied().unwrap_or_default();
        let start = n.checked_sub(1).and_then(|before| self.ends.get(before));
        let range = usize::from(start.copied().unwrap_or_default())..usize::from(end);
        self.text.get(range).unwrap_or_default()
    }

    /// The contact's URI as it was registered.
    pub fn uri(&self) -> &[u8] {
        self.part(0)
    }

    /// The Call-ID of the REGISTER that made or refreshed it.
    pub fn call_id(&self) -> &[u8] {
        self.part(1)
    }

    /// The CSeq number of that REGISTER.
    pub fn cseq(&self) -> u32 {
        self.cseq
    }

    /// The User-Agent of that REGISTER, its first 128 bytes; may be empty.
    pub fn user_agent(&self) -> &[u8] {
        self.part(2)
    }

    /// `+sip.instance` without its quotes, `<urn:uuid:...>`; empty where there was none (RFC 5626 4.1).
    pub fn instance(&self) -> &[u8] {
        self.part(3)
    }

    /// `reg-id`; 0 where there was none (RFC 5626 4.2).
    pub fn reg_id(&self) -> u32 {
        self.reg_id
    }

    /// The route set towards the contact as one list (RFC 3327).
    pub fn path_list(&self) -> &[u8] {
        self.part(4)
    }

    /// The name that other nodes know the contact by; empty where it was never told by another.
    pub fn ruid(&self) -> &[u8] {
        self.part(5)
    }

    /// When it was made or last refreshed.
    pub fn modified(&self) -> Instant {
        self.modified
    }

    /// The route set towards the contact, first hop first, each as a Route value (RFC 3327).
    pub fn path(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(self.path_list());
        std::iter::from_fn(move || {
            loop {
                let (value, tail) = split_value(rest?);
                rest = tail;
                if !value.is_empty() {
                    return Some(value);
                }
            }
        })
    }

    /// Preference in thousandths (RFC 3261 20.10).
    pub fn q(&self) -> u16 {
        self.q
    }

    /// When it ends.
    pub fn expires(&self) -> Instant {
        self.expires
    }

    /// True until it ends.
    pub fn is_live(&self, now: Instant) -> bool {
        self.expires > now
    }

    /// How long it still lives, in seconds, rounded up.
    pub fn remaining(&self, now: Instant) -> u32 {
        let left = self.expires.saturating_duration_since(now);
        let rounded = left + Duration::from_nanos(999_999_999);
        u32::try_from(rounded.as_secs()).unwrap_or(u32::MAX)
    }

    /// Where its REGISTER came from: what to send to where the URI cannot be reached, and the flow (RFC 5626).
    pub fn received(&self) -> Source {
        self.received
    }

    /// What other servers keep with it.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Bytes that it takes, allocations included.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("uri", &format_args!("{}", self.uri().escape_ascii()))
            .field("q", &self.q)
            .field("cseq", &self.cseq)
            .field("received", &self.received.remote)
            .finish_non_exhaustive()
    }
}
