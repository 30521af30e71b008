//! The index: one pass over the bytes that says where the start line's parts, each field's name and value, and the body stand.
//!
//! Folded lines belong to the field above them; lines may end with CR LF or a bare LF; a name may have space before its colon
//! and is known by its name all the same. A CR that ends no line is refused: peers differ on what it means, and a header
//! could be smuggled past us in it. RFC 3261 7.3, 7.5, 18.3 and 25.1; RFC 4475.

use smallvec::SmallVec;

use super::header::HeaderId;
use super::malformed::{Fault, Malformed};
use super::token::{cut, decimal, is_token, is_token_byte, take_while, trim_end, trim_start};

/// Messages with up to this many header fields are indexed without an allocation.
pub const INLINE_FIELDS: usize = 32;

/// What a message may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in all.
    pub bytes: usize,
    /// Header fields.
    pub fields: usize,
    /// Values in comma lists, over the whole message; lists shorter than 128 bytes are not counted.
    pub values: usize,
}

impl Default for Limits {
    /// 64 KiB (the largest datagram), 256 fields, 512 values.
    fn default() -> Self {
        Self {
            bytes: 65_536,
            fields: 256,
            values: 512,
        }
    }
}

/// A stretch of the message's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// Offsets are below the limit of bytes, which fits.
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    /// Where a slice of `bytes` stands in them.
    #[inline]
    pub(crate) fn within(bytes: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
        Self::new(start, start.wrapping_add(part.len()))
    }

    #[inline]
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// Where one header field stands. Its lines reach to the next field's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Slot {
    /// First byte of the name.
    pub(crate) start: u32,
    /// The value without white space around it.
    pub(crate) value: Span,
    pub(crate) name_len: u16,
    pub(crate) id: SlotId,
}

/// [`HeaderId`] with a default, so that a slot has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotId(pub(crate) HeaderId);

impl Default for SlotId {
    fn default() -> Self {
        Self(HeaderId::Other)
    }
}

impl Slot {
    #[inline]
    pub(crate) fn name(self, bytes: &[u8]) -> &[u8] {
        self.name_span().of(bytes)
    }

    #[inline]
    pub(crate) fn name_span(self) -> Span {
        Span {
            start: self.start,
            end: self.start.saturating_add(self.name_len.into()),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    /// 0 for a request.
    status: u16,
    /// Method, or nothing.
    method: Span,
    /// Request URI, or reason phrase.
    text: Span,
    slots: SmallVec<[Slot; INLINE_FIELDS]>,
    /// A bit for each header that is there, by [`HeaderId`]: most that are asked for are not.
    present: u128,
    /// Start of the blank line.
    blank: u32,
    body: Span,
}

impl Index {
    /// Reads the whole message into an index that is empty. Says how many bytes of line breaks stand before it; the index counts
    /// from behind them.
    pub(crate) fn read(&mut self, bytes: &[u8], limits: &Limits) -> Result<usize, Malformed> {
        let limit = limits.bytes.min(u32::MAX as usize);
        if bytes.len() > limit {
            return Err(Malformed::over(Fault::TooLong, limit, limit));
        }
        let breaks = |b: &u8| !matches!(b, b'\r' | b'\n');
        let skipped = bytes.iter().position(breaks).unwrap_or(bytes.len());
        let bytes = cut(bytes, skipped).1;
        if bytes.is_empty() {
            return Err(Malformed::at(Fault::Empty, 0, b""));
        }
        let line = line(bytes, 0)?;
        self.start_line(cut(bytes, line.text_end).0)?;
        self.fields(bytes, line.next, limits)?;
        Ok(skipped)
    }

    /// `METHOD URI SIP/2.0` or `SIP/2.0 CODE REASON`.
    #[inline]
    fn start_line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let bad = || Malformed::at(Fault::StartLine, 0, line);
        let (first, rest) = take_while(line, is_token_byte);
        match rest {
            [b'/', ..] if first.eq_ignore_ascii_case(b"SIP") => {
                let (version, rest) = take_while(line, |b| b != b' ');
                if !version.eq_ignore_ascii_case(b"SIP/2.0") {
                    return Err(Malformed::at(Fault::Version, 0, version));
                }
                let (code, reason) = take_while(cut(rest, 1).1, |b| b != b' ');
                let status = decimal(code)
                    .and_then(|n| u16::try_from(n).ok())
                    .filter(|n| (100..700).contains(n));
                let Some(status) = status.filter(|_| code.len() == 3) else {
                    return Err(Malformed::at(Fault::StatusCode, version.len() + 1, code));
                };
                self.status = status;
                let reason = cut(reason, 1).1;
                self.text = Span::new(line.len() - reason.len(), line.len());
            }
            [b' ', ..] if !first.is_empty() => {
                let uri_start = first.len() + 1;
                let (uri, rest) = take_while(cut(rest, 1).1, |b| b != b' ');
                let [b' ', version @ ..] = rest else {
                    return Err(bad());
                };
                if uri.is_empty() || !is_version(version) {
                    return Err(bad());
                }
                if !version.eq_ignore_ascii_case(b"SIP/2.0") {
                    return Err(Malformed::at(
                        Fault::Version,
                        line.len() - version.len(),
                        version,
                    ));
                }
                self.method = Span::new(0, first.len());
                self.text = Span::new(uri_start, uri_start + uri.len());
            }
            _ => return Err(bad()),
        }
        Ok(())
    }

    #[inline]
    fn fields(&mut self, bytes: &[u8], mut at: usize, limits: &Limits) -> Result<(), Malformed> {
        let mut content_length: Option<u64> = None;
        let mut values = 0;
        loop {
            match cut(bytes, at).1 {
                [b'\r', b'\n', ..] => return self.set_body(bytes, at, at + 2, content_length),
                [b'\n', ..] => return self.set_body(bytes, at, at + 1, content_length),
                [] => return Err(Malformed::at(Fault::NoBlankLine, at, b"")),
                _ => {}
            }
            if self.slots.len() >= limits.fields {
                return Err(Malformed::over(Fault::TooManyFields, limits.fields, at));
            }
            let rest = cut(bytes, at).1;
            let ends = |b: &u8| matches!(b, b':' | b'\n');
            let colon = at + rest.iter().position(ends).unwrap_or(rest.len());
            let mut name = bytes.get(at..colon).unwrap_or_default();
            while let [shorter @ .., b' ' | b'\t'] = name {
                name = shorter;
            }
            let id = HeaderId::of(name);
            let name_len = u16::try_from(name.len()).unwrap_or(0);
            // A name we know is a token; any other must be looked at.
            let sane = id != HeaderId::Other || (name_len > 0 && is_token(name));
            if bytes.get(colon) != Some(&b':') || !sane {
                let end = line(bytes, at).map_or(bytes.len(), |line| line.text_end);
                let came = bytes.get(at..end).unwrap_or_default();
                return Err(Malformed::at(Fault::FieldName, at, came));
            }
            let mut end = line(bytes, colon + 1)?;
            while let Some(b' ' | b'\t') = bytes.get(end.next) {
                end = line(bytes, end.next)?;
            }
            let value = bytes.get(colon + 1..end.text_end).unwrap_or_default();
            let value = trim_end(value);
            let start = colon + 1 + (value.len() - trim_start(value).len());
            let slot = Slot {
                start: at as u32,
                value: Span::new(start, colon + 1 + value.len()),
                name_len,
                id: SlotId(id),
            };
            if id == HeaderId::ContentLength {
                let digits = slot.value.of(bytes);
                let length =
                    decimal(digits).filter(|n| content_length.is_none_or(|other| other == *n));
                if length.is_none() {
                    return Err(Malformed::at(Fault::ContentLength, start, digits).of(id));
                }
                content_length = length;
            } else if id.is_list() && value.len() > 128 {
                values += 1 + memchr::memchr_iter(b',', value).count();
                if values > limits.values {
                    return Err(Malformed::over(Fault::TooManyValues, limits.values, start).of(id));
                }
            }
            self.present |= 1 << slot.id.0 as u8;
            self.slots.push(slot);
            at = end.next;
        }
    }

    fn set_body(
        &mut self,
        bytes: &[u8],
        blank: usize,
        start: usize,
        length: Option<u64>,
    ) -> Result<(), Malformed> {
        let have = bytes.len() - start;
        let length = match length {
            None => have,
            Some(length) => match usize::try_from(length) {
                Ok(length) if length <= have => length,
                _ => return Err(Malformed::body_short(length, have, start)),
            },
        };
        self.blank = blank as u32;
        self.body = Span::new(start, start + length);
        Ok(())
    }

    pub(crate) fn end(&self) -> usize {
        self.body.end as usize
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn method<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
            .get(self.method.start as usize..self.method.end as usize)
            .unwrap_or_default()
    }

    pub(crate) fn text(&self) -> Span {
        self.text
    }

    pub(crate) fn request_uri<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.status == 0 {
            self.text.of(bytes)
        } else {
            b""
        }
    }

    pub(crate) fn reason<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if self.status == 0 {
            b""
        } else {
            self.text.of(bytes)
        }
    }

    pub(crate) fn body_span(&self) -> Span {
        self.body
    }

    pub(crate) fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.body.of(bytes)
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Where the lines of the field at `at` start; past the last, where the blank line does.
    pub(crate) fn line_start(&self, at: usize) -> u32 {
        self.slots.get(at).map_or(self.blank, |slot| slot.start)
    }

    /// Whether a field of that header is there.
    #[inline]
    pub(crate) fn has(&self, id: HeaderId) -> bool {
        self.present >> id as u8 & 1 != 0
    }

    #[inline]
    pub(crate) fn first<'a>(&self, bytes: &'a [u8], id: HeaderId) -> Option<&'a [u8]> {
        if !self.has(id) {
            return None;
        }
        self.slots
            .iter()
            .find(|slot| slot.id.0 == id)
            .map(|slot| slot.value.of(bytes))
    }
}

/// `SIP/digits.digits` in any case.
fn is_version(version: &[u8]) -> bool {
    let (name, number) = cut(version, 4);
    let (major, minor) = take_while(number, |b| b.is_ascii_digit());
    let [b'.', minor @ ..] = minor else {
        return false;
    };
    name.eq_ignore_ascii_case(b"SIP/")
        && !major.is_empty()
        && !minor.is_empty()
        && minor.iter().all(u8::is_ascii_digit)
}

struct Line {
    /// Where its text ends, before CR LF or LF.
    text_end: usize,
    /// Where the next line starts.
    next: usize,
}

/// The line that holds `from`.
#[inline]
fn line(bytes: &[u8], from: usize) -> Result<Line, Malformed> {
    let rest = cut(bytes, from).1;
    let Some(n) = memchr::memchr2(b'\r', b'\n', rest) else {
        return Err(Malformed::at(Fault::NoBlankLine, from, rest));
    };
    match cut(rest, n).1 {
        [b'\r', b'\n', ..] => Ok(Line {
            text_end: from + n,
            next: from + n + 2,
        }),
        [b'\n', ..] => Ok(Line {
            text_end: from + n,
            next: from + n + 1,
        }),
        [b'\r'] => Err(Malformed::at(Fault::NoBlankLine, from, rest)),
        _ => Err(Malformed::at(Fault::BareReturn, from + n, cut(rest, n).1)),
    }
}
