//! Messages cut out of a byte stream.
//!
//! A [`Framer`] belongs to one connection. Bytes go in as they come, whole messages and keep-alives come out; what was searched
//! once is not searched again, however slowly a peer sends. Content-Length must be there and says how long the body is; what
//! is too long is refused before it is held. A message whose header is otherwise wrong is still cut out whole, so that it can be
//! answered and the stream goes on. After a [`FrameError`] the stream has lost its place: send what
//! [`FrameError::refusal`] gives and close the connection.
//!
//! RFC 3261 7.5, 18.3, 20.14; RFC 5626 3.5.1 and 4.4.1 (CR LF CR LF is a ping, CR LF its pong).

use bytes::{Buf, Bytes, BytesMut};

use crate::message::{
    Fault, HeaderId, Malformed, RoughField, decimal, is_token_byte, refuse, rough_fields,
};

/// What one message of a stream may make us hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Start line and header fields.
    pub header: usize,
    /// Body.
    pub body: usize,
}

impl Default for FrameLimits {
    /// 32 KiB of header and 32 KiB of body: together what a datagram could hold.
    fn default() -> Self {
        Self {
            header: 32_768,
            body: 32_768,
        }
    }
}

/// What came out of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole message, from its start line to the end of its body.
    Message(Bytes),
    /// A double CR LF between messages: answer with [`PONG`].
    Ping,
    /// A single CR LF between messages: the answer to our [`PING`]. Of a ping that comes in two reads, the first half shows
    /// as this and the second as a ping.
    Pong,
}

/// What a client sends to keep a flow open (RFC 5626 3.5.1).
pub const PING: &[u8] = b"\r\n\r\n";

/// What a server answers a [`PING`] with.
pub const PONG: &[u8] = b"\r\n";

/// Why a stream cannot be read on. The message up to its body is kept for the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stream: {malformed}")]
pub struct FrameError {
    malformed: Malformed,
    header: Bytes,
}

impl FrameError {
    /// What is wrong.
    pub fn malformed(&self) -> &Malformed {
        &self.malformed
    }

    /// The answer to send before the connection is closed, where one can be made of what came.
    pub fn refusal(&self, to_tag: Option<&str>) -> Option<Bytes> {
        refuse(&self.header, &self.malformed, to_tag, "")
    }
}

/// Cuts one stream into messages.
///
/// ```
/// use switchhook_sip::framing::{Frame, FrameLimits, Framer};
/// let mut framer = Framer::new(FrameLimits::default());
/// framer.push(b"\r\n\r\nOPTIONS sip:a@b SIP/2.0\r\nl: 2\r\n\r\nh");
/// assert_eq!(framer.next(), Ok(Some(Frame::Ping)));
/// assert_eq!(framer.next(), Ok(None));
/// framer.push(b"iBYE");
/// let message = "OPTIONS sip:a@b SIP/2.0\r\nl: 2\r\n\r\nhi".into();
/// assert_eq!(framer.next(), Ok(Some(Frame::Message(message))));
/// assert_eq!(framer.next(), Ok(None));
/// assert!(!framer.is_idle());
/// ```
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    limits: FrameLimits,
    /// How far the header's end has been looked for, or where the message ends.
    state: State,
    /// A lone CR LF was just seen: another one makes it a ping.
    half_ping: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between messages.
    Between,
    /// In a header; no end of it before this byte.
    Header { searched: usize },
    /// The header is whole; the message ends at this byte.
    Body { end: usize },
}

impl Framer {
    /// At the start of a stream.
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            buffer: BytesMut::new(),
            limits,
            state: State::Between,
            half_ping: false,
        }
    }

    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer, for reading into its tail. Nothing but appending may be done to it.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// True between messages with nothing held. Where it stays false too long, the peer is slow.
    pub fn is_idle(&self) -> bool {
        self.state == State::Between && self.buffer.is_empty()
    }

    /// The bytes held.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame, or `None` until more bytes come. After an error, nothing more.
    #[expect(
        clippy::should_implement_trait,
        reason = "it is asked again after None, when more bytes came"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            match self.state {
                State::Between => match self.between()? {
                    Step::Frame(frame) => return Ok(Some(frame)),
                    Step::More => return Ok(None),
                    Step::On => self.state = State::Header { searched: 0 },
                },
                State::Header { searched } => {
                    let Some(header) = self.header_end(searched)? else {
                        return Ok(None);
                    };
                    let body = self.body_len(header)?;
                    self.state = State::Body { end: header + body };
                }
                State::Body { end } => {
                    if self.buffer.len() < end {
                        return Ok(None);
                    }
                    self.state = State::Between;
                    self.half_ping = false;
                    return Ok(Some(Frame::Message(self.buffer.split_to(end).freeze())));
                }
            }
        }
    }

    /// Line breaks between messages are keep-alives; anything else must begin a start line.
    fn between(&mut self) -> Result<Step, FrameError> {
        loop {
            match &self.buffer[..] {
                [b'\r', b'\n', b'\r', b'\n', ..] if !self.half_ping => {
                    self.buffer.advance(4);
                    return Ok(Step::Frame(Frame::Ping));
                }
                [b'\r', b'\n', ..] => {
                    self.buffer.advance(2);
                    self.half_ping = !self.half_ping;
                    let frame = if self.half_ping {
                        Frame::Pong
                    } else {
                        Frame::Ping
                    };
                    return Ok(Step::Frame(frame));
                }
                [b'\n', ..] => self.buffer.advance(1),
                [] | [b'\r'] => return Ok(Step::More),
                [first, ..] if is_token_byte(*first) => return Ok(Step::On),
                other => {
                    let malformed = Malformed::at(Fault::StartLine, 0, other);
                    return Err(self.broken(malformed, other.len()));
                }
            }
        }
    }

    /// Where the header ends, its blank line counted in.
    fn header_end(&mut self, mut searched: usize) -> Result<Option<usize>, FrameError> {
        let limit = self.limits.header;
        let end = loop {
            let rest = self.buffer.get(searched..).unwrap_or_default();
            let Some(n) = memchr::memchr(b'\n', rest) else {
                searched = self.buffer.len();
                break None;
            };
            searched += n;
            match self.buffer.get(searched + 1..).unwrap_or_default() {
                [b'\n', ..] => break Some(searched + 2),
                [b'\r', b'\n', ..] => break Some(searched + 3),
                // What follows this line's end decides, and is not here yet.
                [] | [b'\r'] => break None,
                _ => searched += 1,
            }
        };
        if end.unwrap_or(searched) > limit {
            let malformed = Malformed::over(Fault::TooLong, limit, limit);
            return Err(self.broken(malformed, limit));
        }
        if end.is_none() {
            self.state = State::Header { searched };
        }
        Ok(end)
    }

    /// What Content-Length says, within the limit.
    fn body_len(&mut self, header: usize) -> Result<usize, FrameError> {
        let bytes = self.buffer.get(..header).unwrap_or_default();
        let length = content_length(bytes).and_then(|length| match usize::try_from(length) {
            Ok(length) if length <= self.limits.body => Ok(length),
            _ => Err(Malformed::over(Fault::TooLong, self.limits.body, header)),
        });
        length.map_err(|malformed| self.broken(malformed, header))
    }

    /// Keeps what the answer needs, and nothing else.
    fn broken(&mut self, malformed: Malformed, header: usize) -> FrameError {
        let mut header = self.buffer.split_to(header.min(self.buffer.len()));
        header.truncate(self.limits.header);
        self.buffer.clear();
        self.state = State::Between;
        FrameError {
            malformed,
            header: header.freeze(),
        }
    }
}

enum Step {
    Frame(Frame),
    More,
    On,
}

/// The header's Content-Length. Fields that cannot be read are stepped over, the index refuses them later.
fn content_length(header: &[u8]) -> Result<u64, Malformed> {
    let mut found = None;
    for RoughField { name, value, at } in rough_fields(header) {
        if HeaderId::of(name) != HeaderId::ContentLength {
            continue;
        }
        match (decimal(value), found) {
            (Some(length), None) => found = Some(length),
            (Some(length), Some(other)) if length == other => {}
            _ => {
                let malformed = Malformed::at(Fault::ContentLength, at, value);
                return Err(malformed.of(HeaderId::ContentLength));
            }
        }
    }
    found.ok_or_else(|| Malformed::missing(HeaderId::ContentLength))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &str = "OPTIONS sip:b@example.test SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n\
        X: 1\r\n content-length: 9\r\nContent-Length \t:\r\n 5\r\n\r\nhello";

    fn framer() -> Framer {
        Framer::new(FrameLimits {
            header: 256,
            body: 64,
        })
    }

    fn drain(framer: &mut Framer) -> Vec<Frame> {
        std::iter::from_fn(|| framer.next().unwrap()).collect()
    }

    #[test]
    fn a_message_cut_at_every_byte_comes_out_the_same() {
        let stream = format!("\r\n\r\n{OPTIONS}{OPTIONS}\r\n{OPTIONS}\r\n\r\n");
        for cut in 0..=stream.len() {
            let mut framer = framer();
            let (head, tail) = stream.as_bytes().split_at(cut);
            framer.push(head);
            let mut frames = drain(&mut framer);
            framer.push(tail);
            frames.extend(drain(&mut framer));
            // A ping cut in two shows its first half as a pong.
            if cut == 2 || cut == 3 || cut + 2 == stream.len() || cut + 1 == stream.len() {
                let pong = if cut < 4 { 0 } else { frames.len() - 2 };
                assert_eq!(frames.remove(pong), Frame::Pong, "cut at {cut}");
            }
            let message = Frame::Message(OPTIONS.into());
            let expected = [
                Frame::Ping,
                message.clone(),
                message.clone(),
                Frame::Pong,
                message,
                Frame::Ping,
            ];
            assert_eq!(frames, expected, "cut at {cut}");
            assert!(framer.is_idle());
        }
    }

    #[test]
    fn a_slow_peer_costs_no_second_search() {
        let mut framer = framer();
        for b in OPTIONS.bytes().take(80) {
            framer.push(&[b]);
            assert_eq!(framer.next(), Ok(None));
            let State::Header { searched } = framer.state else {
                panic!("in a header")
            };
            assert!(searched + 2 >= framer.held());
        }
    }

    #[test]
    fn a_stream_without_length_is_answered_and_given_up() {
        let mut framer = framer();
        framer.push(b"OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n\r\nhello");
        let error = framer.next().unwrap_err();
        assert_eq!(
            error.to_string(),
            "stream: Content-Length: expected the header to be there, got nothing"
        );
        let refusal = error.refusal(None).unwrap();
        assert!(
            refusal.starts_with(b"SIP/2.0 400 Missing Content-Length\r\nVia: SIP/2.0/TCP h\r\n")
        );
        assert!(framer.is_idle());
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_held() {
        let mut long = framer();
        long.push(b"OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nl: 65\r\n\r\n");
        let error = long.next().unwrap_err();
        assert_eq!(error.malformed().status(), 513);
        assert!(error.refusal(None).is_some());

        let mut endless = framer();
        endless.push(&[b'a'; 257]);
        let error = endless.next().unwrap_err();
        assert_eq!(
            error.to_string(),
            "stream: message, byte 256: expected at most 256 bytes, got more"
        );
        assert_eq!(error.refusal(None), None);
    }

    #[test]
    fn two_lengths_that_differ_break_the_stream() {
        let mut framer = framer();
        framer.push(b"OPTIONS sip:b SIP/2.0\r\nl: 5\r\nContent-Length: 6\r\n\r\nhello");
        let error = framer.next().unwrap_err();
        assert_eq!(
            error.to_string(),
            "stream: Content-Length, byte 29: expected one length in decimal digits, got `6`"
        );
        for length in ["-1", "5x", "99999999999999999999999", ""] {
            let mut framer = self::framer();
            framer.push(format!("OPTIONS sip:b SIP/2.0\r\nl: {length}\r\n\r\n").as_bytes());
            assert_eq!(
                framer.next().unwrap_err().malformed().fault(),
                Fault::ContentLength
            );
        }
    }

    #[test]
    fn what_begins_no_message_is_garbage() {
        for bytes in [&b"\x16\x03\x01"[..], b"\r\rOPTIONS", b" OPTIONS"] {
            let mut framer = framer();
            framer.push(bytes);
            assert_eq!(
                framer.next().unwrap_err().malformed().fault(),
                Fault::StartLine
            );
        }
    }
}
