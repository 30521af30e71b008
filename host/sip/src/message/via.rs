//! Via: the way the answer takes back. RFC 3261 20.42 and 18.2, RFC 3581 (rport), RFC 5118 (IPv6).

use std::net::IpAddr;

use super::Message;
use super::edit::{EditError, Edits};
use super::index::Span;
use super::malformed::{Fault, Malformed};
use super::token::{
    Param, Params, cut, is_lws, is_token_byte, split_value, take_while, trim, trim_start,
};
use super::uri::{host_ip, port, take_host};
use crate::address::AddressText;
use crate::flow::Transport;

/// The magic that a branch made by RFC 3261's rules begins with (8.1.1.7).
pub const BRANCH_MAGIC: &[u8] = b"z9hG4bK";

/// One Via value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// The whole value.
    pub raw: &'a [u8],
    /// The transport as it came: `UDP`, or one we do not speak.
    pub transport: &'a [u8],
    /// The sent-by host, IPv6 with its brackets.
    pub host: &'a [u8],
    /// The sent-by port, where one is written.
    pub port: Option<u16>,
    /// `;name=value` parameters.
    pub params: Params<'a>,
    // Seen while the parameters were checked, so that the hot path need not look for them.
    branch: Option<&'a [u8]>,
    received: Option<&'a [u8]>,
    rport: Option<Param<'a>>,
}

/// The state of the `rport` parameter (RFC 3581).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rport {
    /// `;rport`: the sender asks that the port be filled in.
    Asked,
    /// `;rport=5062`.
    Filled(u16),
}

impl<'a> Via<'a> {
    /// Reads one value (not a comma list).
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(value).ok_or_else(|| Malformed::new(Fault::Via, value))
    }

    /// `"SIP" / "2.0" / transport LWS host [":" port] *(";" param)`, with white space (folds too) around each mark.
    pub(crate) fn read(value: &'a [u8]) -> Option<Self> {
        let raw = trim(value);
        let rest = match raw {
            // As nearly all write it.
            [b'S', b'I', b'P', b'/', b'2', b'.', b'0', b'/', rest @ ..] => rest,
            _ => {
                let (name, rest) = take_while(raw, is_token_byte);
                let rest = mark(rest, b'/')?;
                let (version, rest) = take_while(rest, is_token_byte);
                if !name.eq_ignore_ascii_case(b"SIP") || version != b"2.0" {
                    return None;
                }
                mark(rest, b'/')?
            }
        };
        let (transport, rest) = take_while(trim_start(rest), is_token_byte);
        if transport.is_empty() || !rest.first().copied().is_some_and(is_lws) {
            return None;
        }
        let (host, rest) = take_host(trim_start(rest))?;
        let rest = trim_start(rest);
        let (port, rest) = match rest {
            [b':', rest @ ..] => {
                let (digits, rest) = take_while(trim_start(rest), |b| b.is_ascii_digit());
                (Some(port(digits)?), trim_start(rest))
            }
            _ => (None, rest),
        };
        let mut via = Self {
            raw,
            transport,
            host,
            port,
            params: Params::new(rest),
            branch: None,
            received: None,
            rport: None,
        };
        via.params.walk(|param| match param.name.len() {
            6 if via.branch.is_none() && param.name.eq_ignore_ascii_case(b"branch") => {
                via.branch = param.value;
            }
            8 if via.received.is_none() && param.name.eq_ignore_ascii_case(b"received") => {
                via.received = param.value;
            }
            5 if via.rport.is_none() && param.name.eq_ignore_ascii_case(b"rport") => {
                via.rport = Some(param);
            }
            _ => {}
        })?;
        Some(via)
    }

    /// The transport, where it is one we speak.
    pub fn known_transport(&self) -> Option<Transport> {
        Transport::from_bytes(self.transport)
    }

    /// The branch as it came; compare it without case (RFC 3261 7.3.1).
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.branch.filter(|branch| !branch.is_empty())
    }

    /// The branch, if it was made by RFC 3261's rules and so names a transaction: magic and something after it.
    pub fn magic_branch(&self) -> Option<&'a [u8]> {
        let branch = self.branch()?;
        let (magic, rest) = cut(branch, BRANCH_MAGIC.len());
        (magic.eq_ignore_ascii_case(BRANCH_MAGIC) && !rest.is_empty()).then_some(branch)
    }

    /// The `received` address, with or without brackets (RFC 5118 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        host_ip(self.received?)
    }

    /// The `rport` parameter.
    pub fn rport(&self) -> Option<Rport> {
        match self.rport?.value {
            None | Some(b"") => Some(Rport::Asked),
            Some(digits) => port(digits).map(Rport::Filled),
        }
    }

    /// Whether there is a `received` parameter, whatever its value.
    pub(crate) fn has_received(&self) -> bool {
        self.params.get(b"received").is_some()
    }

    /// Whether there is an `rport` parameter, whatever its value.
    pub(crate) fn has_rport(&self) -> bool {
        self.rport.is_some()
    }

    /// The `maddr` parameter as it came.
    pub fn maddr(&self) -> Option<&'a [u8]> {
        self.params.value(b"maddr")
    }

    /// The sent-by host as an address, where it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }
}

/// Where a request came from, as a server notes it in its top Via (RFC 3261 18.2.1, RFC 3581 4).
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    received: AddressText,
    rport: Option<AddressText>,
}

impl Marks {
    /// `received`, and `rport` where the port is noted too.
    pub fn new(received: IpAddr, rport: Option<u16>) -> Self {
        Self {
            received: AddressText::ip(received),
            rport: rport.map(AddressText::number),
        }
    }

    fn received(&self) -> Set<'_> {
        (b"received", self.received.as_bytes())
    }

    /// Puts them into the top Via.
    pub(crate) fn put(&self, edits: &mut Edits, request: &Message) -> Result<(), EditError> {
        match &self.rport {
            Some(rport) => {
                let rport = (&b"rport"[..], rport.as_bytes());
                edits.set_via_params(request, [self.received(), rport])
            }
            None => edits.set_via_params(request, [self.received()]),
        }
    }

    /// Appends a field of Via with them in its first value.
    pub(super) fn write(&self, out: &mut Vec<u8>, field: &[u8]) {
        match &self.rport {
            Some(rport) => {
                let rport = (&b"rport"[..], rport.as_bytes());
                write_params(out, field, [self.received(), rport]);
            }
            None => write_params(out, field, [self.received()]),
        }
    }
}

fn write_params<const N: usize>(out: &mut Vec<u8>, field: &[u8], params: [Set<'_>; N]) {
    let mut at = 0;
    for (from, to, (name, value)) in param_cuts(field, params).into_iter().flatten() {
        for part in [
            field.get(at..from).unwrap_or_default(),
            b";",
            name,
            b"=",
            value,
        ] {
            out.extend_from_slice(part);
        }
        at = to;
    }
    out.extend_from_slice(cut(field, at).1);
}

/// A parameter's name and value.
pub(super) type Set<'a> = (&'a [u8], &'a [u8]);

/// Where parameters whose names differ go in a field of Via, of which the first value gets them: each replaces the bytes from the first place to
/// the second. One that is there gives way, others go behind it. `None` where there is no value.
pub(super) fn param_cuts<'a, const N: usize>(
    field: &[u8],
    params: [Set<'a>; N],
) -> Option<[(usize, usize, Set<'a>); N]> {
    let first = split_value(field).0;
    if first.is_empty() {
        return None;
    }
    // `first` is a slice of the field, and its parameters run to its end.
    let end = first.as_ptr() as usize - field.as_ptr() as usize + first.len();
    let old = Params::new(cut(first, memchr::memchr(b';', first).unwrap_or(first.len())).1);
    let start = end - old.as_bytes().len();
    let mut cuts = params.map(|param| match old.locate(param.0) {
        Some((from, to)) => (start + from, start + to, param),
        None => (end, end, param),
    });
    // Stable: those that are new stay in the caller's order.
    cuts.sort_by_key(|(from, ..)| *from);
    Some(cuts)
}

/// Where the parts of a Via stand in its message, so that it need not be read again.
#[derive(Debug, Clone, Copy)]
pub(super) struct ViaPlaces {
    raw: Span,
    transport: Span,
    host: Span,
    port: Option<u16>,
    params: Span,
    branch: Option<Span>,
    received: Option<Span>,
    rport: Option<(Span, Option<Span>)>,
}

impl ViaPlaces {
    /// Of a Via whose slices are all of these bytes.
    pub(super) fn of(via: &Via<'_>, bytes: &[u8]) -> Self {
        let place = |part: &[u8]| Span::within(bytes, part);
        Self {
            raw: place(via.raw),
            transport: place(via.transport),
            host: place(via.host),
            port: via.port,
            params: place(via.params.as_bytes()),
            branch: via.branch.map(place),
            received: via.received.map(place),
            rport: via
                .rport
                .map(|rport| (place(rport.name), rport.value.map(place))),
        }
    }

    /// The Via, in the same bytes.
    #[inline]
    pub(super) fn via<'a>(&self, bytes: &'a [u8]) -> Via<'a> {
        Via {
            raw: self.raw.of(bytes),
            transport: self.transport.of(bytes),
            host: self.host.of(bytes),
            port: self.port,
            params: Params::new(self.params.of(bytes)),
            branch: self.branch.map(|branch| branch.of(bytes)),
            received: self.received.map(|received| received.of(bytes)),
            rport: self.rport.map(|(name, value)| Param {
                name: name.of(bytes),
                value: value.map(|value| value.of(bytes)),
            }),
        }
    }
}

/// Steps over a mark with white space around it.
fn mark(bytes: &[u8], mark: u8) -> Option<&[u8]> {
    match trim_start(bytes) {
        [first, rest @ ..] if *first == mark => Some(trim_start(rest)),
        _ => None,
    }
}
