//! What is wrong with a message: what came, what was expected, where, and the answer that fits.
//!
//! No allocation: what came is kept as a short excerpt. RFC 3261 8.2.2, 16.3, 18.3, 21.4.1; RFC 4475.

use std::fmt;

use super::header::HeaderId;

/// The kind of fault, and with it what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing but line breaks: a keep-alive, not a message (RFC 3261 7.5, RFC 5626 4.4.1).
    Empty,
    /// More bytes than the limit.
    TooLong,
    /// More header fields than the limit.
    TooManyFields,
    /// More values in comma lists than the limit.
    TooManyValues,
    /// The blank line that ends the header is not there.
    NoBlankLine,
    /// Neither a request line nor a status line.
    StartLine,
    /// A SIP version other than 2.0.
    Version,
    /// A status code other than three digits between 100 and 699.
    StatusCode,
    /// A header line that is no `name: value`.
    FieldName,
    /// A carriage return that ends no line.
    BareReturn,
    /// A Content-Length that is no number, or two that differ.
    ContentLength,
    /// Fewer body bytes than Content-Length says.
    BodyShort,
    /// A header that must be there is not.
    Missing,
    /// A header that may come once came more often.
    Repeated,
    /// A URI that cannot be read.
    Uri,
    /// A request URI that cannot be read, or with headers in it.
    RequestUri,
    /// A Via that cannot be read.
    Via,
    /// A From, To, Contact or Route that cannot be read.
    NameAddr,
    /// A CSeq that is no number below 2^31 and method.
    Cseq,
    /// The method in CSeq is not that of the request line.
    CseqMethod,
    /// As [`Fault::CseqMethod`], where the request line's method is one we do not know (RFC 4475 3.1.2.18).
    CseqMethodUnknown,
    /// A Call-ID that is empty or holds white space.
    CallId,
    /// A header whose value is a number came with something else, or with one beyond its range.
    Number,
}

impl Fault {
    const fn expected(self) -> &'static str {
        match self {
            Self::Empty => "a message",
            Self::TooLong => "fewer bytes",
            Self::TooManyFields => "fewer header fields",
            Self::TooManyValues => "fewer comma-separated values",
            Self::NoBlankLine => "a blank line after the header fields",
            Self::StartLine => "`METHOD URI SIP/2.0` or `SIP/2.0 CODE REASON`, one space between",
            Self::Version => "SIP/2.0",
            Self::StatusCode => "a status code from 100 to 699",
            Self::FieldName => "`name: value`",
            Self::BareReturn => "CR only before LF",
            Self::ContentLength => "one length in decimal digits",
            Self::BodyShort => "as many body bytes as Content-Length says",
            Self::Missing => "the header to be there",
            Self::Repeated => "the header once",
            Self::Uri => "a URI",
            Self::RequestUri => "a URI, without `<>` and without headers",
            Self::Via => "`SIP/2.0/TRANSPORT host[:port];branch=...`",
            Self::NameAddr => "`\"name\" <uri>;params` or `uri;params`",
            Self::Cseq => "a number below 2^31 and a method",
            Self::CseqMethod | Self::CseqMethodUnknown => "the method of the request line",
            Self::CallId => "a call identifier without white space",
            Self::Number => "a decimal number in range",
        }
    }

    const fn short(self) -> &'static str {
        match self {
            Self::Empty => "Empty Message",
            Self::TooLong => "Message Too Large",
            Self::TooManyFields => "Too Many Header Fields",
            Self::TooManyValues => "Too Many Header Values",
            Self::NoBlankLine => "Missing Blank Line",
            Self::StartLine => "Bad Start Line",
            Self::Version => "Version Not Supported",
            Self::StatusCode => "Bad Status Code",
            Self::FieldName => "Bad Header Line",
            Self::BareReturn => "Bare Carriage Return",
            Self::BodyShort => "Body Shorter Than Content-Length",
            Self::CseqMethod => "CSeq Method Mismatch",
            Self::CseqMethodUnknown => "Not Implemented",
            Self::Missing => "Missing",
            Self::Repeated => "Repeated",
            Self::ContentLength
            | Self::Uri
            | Self::RequestUri
            | Self::Via
            | Self::NameAddr
            | Self::Cseq
            | Self::CallId
            | Self::Number => "Bad",
        }
    }
}

/// Up to [`Excerpt::MAX`] bytes of what came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    bytes: [u8; Self::MAX],
    len: u8,
    cut: bool,
}

impl Excerpt {
    /// The most bytes kept.
    pub const MAX: usize = 40;

    fn new(came: &[u8]) -> Self {
        let mut excerpt = Self {
            bytes: [0; Self::MAX],
            len: 0,
            cut: came.len() > Self::MAX,
        };
        for (to, from) in excerpt.bytes.iter_mut().zip(came) {
            *to = *from;
            excerpt.len += 1;
        }
        excerpt
    }

    /// The bytes kept.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == 0 {
            return f.write_str("nothing");
        }
        write!(f, "`{}", self.as_bytes().escape_ascii())?;
        f.write_str(if self.cut { "...`" } else { "`" })
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A message, or a part of one, that cannot be read.
///
/// ```
/// use switchhook_sip::message::Message;
/// let fault = Message::parse("OPTIONS sip:a@b SIP/7.0\r\n\r\n".into()).unwrap_err();
/// assert_eq!(fault.status(), 505);
/// assert_eq!(fault.to_string(), "start line, byte 16: expected SIP/2.0, got `SIP/7.0`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: expected {}, got {}", self.place(), self.expectation(), self.got())]
pub struct Malformed {
    fault: Fault,
    header: Option<HeaderId>,
    at: Option<u32>,
    limit: Option<u32>,
    came: Excerpt,
}

impl Malformed {
    #[cold]
    pub(crate) fn new(fault: Fault, came: &[u8]) -> Self {
        Self {
            fault,
            header: None,
            at: None,
            limit: None,
            came: Excerpt::new(came),
        }
    }

    /// `came` must be where in the message the fault is; `at` is its offset.
    #[cold]
    pub(crate) fn at(fault: Fault, at: usize, came: &[u8]) -> Self {
        Self {
            at: u32::try_from(at).ok(),
            ..Self::new(fault, came)
        }
    }

    /// More than `limit` of something.
    #[cold]
    pub(crate) fn over(fault: Fault, limit: usize, at: usize) -> Self {
        Self {
            limit: u32::try_from(limit).ok(),
            ..Self::at(fault, at, b"")
        }
    }

    /// A body of `have` bytes where there should be `length`.
    #[cold]
    pub(crate) fn body_short(length: u64, have: usize, at: usize) -> Self {
        let mut digits = [0; 10];
        let have = super::edit::decimal(&mut digits, u32::try_from(have).unwrap_or(u32::MAX));
        Self {
            limit: Some(u32::try_from(length).unwrap_or(u32::MAX)),
            ..Self::at(Fault::BodyShort, at, have)
        }
        .of(HeaderId::ContentLength)
    }

    /// The same fault, in that header.
    #[cold]
    pub(crate) fn of(self, header: HeaderId) -> Self {
        Self {
            header: Some(header),
            ..self
        }
    }

    #[cold]
    pub(crate) fn missing(header: HeaderId) -> Self {
        Self::new(Fault::Missing, b"").of(header)
    }

    /// The kind of fault.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The header it is in, where it is in one.
    pub fn header(&self) -> Option<HeaderId> {
        self.header
    }

    /// The byte of the message where it was found, where the whole message was being read.
    pub fn offset(&self) -> Option<usize> {
        self.at.map(|at| at as usize)
    }

    /// The beginning of what came.
    pub fn came(&self) -> &[u8] {
        self.came.as_bytes()
    }

    /// The status of the answer that fits, if the message is a request that can be answered at all
    /// (see [`super::refuse`]); responses and ACKs that are malformed are dropped.
    pub fn status(&self) -> u16 {
        match self.fault {
            Fault::Version => 505,
            Fault::TooLong => 513,
            Fault::CseqMethodUnknown => 501,
            _ => 400,
        }
    }

    /// The reason phrase of that answer: RFC 3261 21.4.1 asks that it names the problem, `Missing CSeq`.
    pub fn reason(&self) -> impl fmt::Display + use<> {
        Reason(self.fault, self.header)
    }

    fn place(&self) -> impl fmt::Display + use<> {
        Place(self.fault, self.header, self.at)
    }

    fn got(&self) -> impl fmt::Display + use<> {
        Got(self.came, self.limit.is_some() && self.came.len == 0)
    }

    fn expectation(&self) -> impl fmt::Display + use<> {
        Expectation(self.fault, self.limit)
    }
}

struct Reason(Fault, Option<HeaderId>);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.short())?;
        match (self.0, self.1) {
            (
                Fault::Missing
                | Fault::Repeated
                | Fault::ContentLength
                | Fault::Via
                | Fault::NameAddr
                | Fault::Cseq
                | Fault::CallId
                | Fault::Number,
                Some(header),
            ) => write!(f, " {header}"),
            (Fault::Uri, Some(header)) => write!(f, " URI in {header}"),
            (Fault::Uri, None) => f.write_str(" URI"),
            (Fault::RequestUri, _) => f.write_str(" Request-URI"),
            (Fault::Via, None) => f.write_str(" Via"),
            (Fault::ContentLength, None) => f.write_str(" Content-Length"),
            (Fault::Cseq, None) => f.write_str(" CSeq"),
            (Fault::NameAddr, None) => f.write_str(" Address"),
            (Fault::CallId, None) => f.write_str(" Call-ID"),
            (Fault::Missing | Fault::Repeated | Fault::Number, None) => f.write_str(" Header"),
            _ => Ok(()),
        }
    }
}

struct Place(Fault, Option<HeaderId>, Option<u32>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (_, Some(header)) => write!(f, "{header}")?,
            (Fault::StartLine | Fault::Version | Fault::StatusCode, None) => {
                f.write_str("start line")?
            }
            (Fault::RequestUri, None) => f.write_str("request URI")?,
            (Fault::Uri, None) => f.write_str("URI")?,
            (_, None) => f.write_str("message")?,
        }
        match self.2 {
            Some(at) => write!(f, ", byte {at}"),
            None => Ok(()),
        }
    }
}

struct Got(Excerpt, bool);

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1 {
            f.write_str("more")
        } else {
            self.0.fmt(f)
        }
    }
}

struct Expectation(Fault, Option<u32>);

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Fault::TooLong, Some(limit)) => write!(f, "at most {limit} bytes"),
            (Fault::TooManyFields, Some(limit)) => write!(f, "at most {limit} header fields"),
            (Fault::TooManyValues, Some(limit)) => {
                write!(f, "at most {limit} comma-separated values")
            }
            (Fault::BodyShort, Some(length)) => write!(f, "{length} bytes of body"),
            (fault, _) => f.write_str(fault.expected()),
        }
    }
}
