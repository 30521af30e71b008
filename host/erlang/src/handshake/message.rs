//! The handshake's messages, as bytes without their length.

use bytes::Bytes;
use std::fmt;

use crate::cookie::Digest;
use crate::flags::Flags;
use crate::name::{BadName, MAX_NAME, NodeName};
use crate::wire::cursor::Cursor;

/// Longest message of a handshake, in bytes.
pub const MAX_MESSAGE: usize = MAX_NAME + 64;

/// The version that the old form of a name carries.
const VERSION: u16 = 5;

/// What is no message of a handshake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// An unknown kind.
    #[error("handshake: a message of kind {0:#04x}")]
    Kind(u8),
    /// Cut short or too long.
    #[error("handshake: {0} of {1} bytes")]
    Length(&'static str, usize),
    /// A status that the protocol does not know.
    #[error("handshake: status `{0}`")]
    Status(String),
    /// A name that is none.
    #[error("handshake: {0}")]
    Name(#[from] BadName),
}

/// The answer to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Go on.
    Ok,
    /// Go on; the other side gives up the connection that it was opening itself.
    OkSimultaneous,
    /// Give up; the other side is opening one itself.
    Nok,
    /// Not with that name, or not with those flags.
    NotAllowed,
    /// There is a connection already: say whether it is dead.
    Alive,
}

impl Status {
    const ALL: [Status; 5] = [
        Self::Ok,
        Self::OkSimultaneous,
        Self::Nok,
        Self::NotAllowed,
        Self::Alive,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OkSimultaneous => "ok_simultaneous",
            Self::Nok => "nok",
            Self::NotAllowed => "not_allowed",
            Self::Alive => "alive",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// Who dials.
    Name {
        flags: Flags,
        creation: u32,
        name: NodeName,
    },
    /// Who dials, in the form before OTP 23: half the flags, no creation.
    OldName { flags: Flags, name: NodeName },
    /// The answer to a name.
    Status(Status),
    /// The answer to [`Status::Alive`].
    Replace(bool),
    /// Who was dialled, and its question.
    Challenge {
        flags: Flags,
        challenge: u32,
        creation: u32,
        name: NodeName,
    },
    /// What an old name lacked.
    Complement { flags: Flags, creation: u32 },
    /// The answer, and a question back.
    Reply { challenge: u32, digest: Digest },
    /// The answer to that.
    Ack { digest: Digest },
}

impl Message {
    /// For errors.
    pub(crate) const fn what(&self) -> &'static str {
        match self {
            Self::Name { .. } | Self::OldName { .. } => "a name",
            Self::Status(_) => "a status",
            Self::Replace(_) => "an answer to `alive`",
            Self::Challenge { .. } => "a challenge",
            Self::Complement { .. } => "a complement",
            Self::Reply { .. } => "a challenge's reply",
            Self::Ack { .. } => "an acknowledgement",
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(64);
        match self {
            Self::Name {
                flags,
                creation,
                name,
            } => {
                out.push(b'N');
                out.extend(flags.0.to_be_bytes());
                out.extend(creation.to_be_bytes());
                put_name(&mut out, name);
            }
            Self::OldName { flags, name } => {
                out.push(b'n');
                out.extend(VERSION.to_be_bytes());
                out.extend(low(*flags));
                out.extend(name.as_str().as_bytes());
            }
            Self::Status(status) => {
                out.push(b's');
                out.extend(status.text().as_bytes());
            }
            Self::Replace(replace) => {
                out.push(b's');
                out.extend(if *replace { &b"true"[..] } else { b"false" });
            }
            Self::Challenge {
                flags,
                challenge,
                creation,
                name,
            } => {
                out.push(b'N');
                out.extend(flags.0.to_be_bytes());
                out.extend(challenge.to_be_bytes());
                out.extend(creation.to_be_bytes());
                put_name(&mut out, name);
            }
            Self::Complement { flags, creation } => {
                out.push(b'c');
                out.extend(flags.0.to_be_bytes().iter().take(4));
                out.extend(creation.to_be_bytes());
            }
            Self::Reply { challenge, digest } => {
                out.push(b'r');
                out.extend(challenge.to_be_bytes());
                out.extend(digest);
            }
            Self::Ack { digest } => {
                out.push(b'a');
                out.extend(digest);
            }
        }
        out.into()
    }

    /// Reads what a dialled node gets.
    pub(crate) fn to_acceptor(bytes: &[u8]) -> Result<Self, BadMessage> {
        match bytes.first() {
            Some(b'N') => read(bytes, "a name", |cursor| {
                let (flags, creation) = (Flags(cursor.u64()?), cursor.u32()?);
                let name = NodeName::from_bytes(cursor.counted()?);
                // What follows is for later versions.
                cursor.take(cursor.rest().len())?;
                Some(name.map(|name| Self::Name {
                    flags,
                    creation,
                    name,
                }))
            }),
            Some(b'n') => read(bytes, "an old name", |cursor| {
                let _version = cursor.u16()?;
                let flags = Flags(cursor.u32()?.into());
                let name = NodeName::from_bytes(cursor.take(cursor.rest().len())?);
                Some(name.map(|name| Self::OldName { flags, name }))
            }),
            Some(b's') => match bytes.get(1..) {
                Some(b"true") => Ok(Self::Replace(true)),
                Some(b"false") => Ok(Self::Replace(false)),
                other => Err(bad_status(other)),
            },
            Some(b'c') => read(bytes, "a complement", |cursor| {
                let (high, creation) = (cursor.u32()?, cursor.u32()?);
                Some(Ok(Self::Complement {
                    flags: Flags(u64::from(high) << 32),
                    creation,
                }))
            }),
            Some(b'r') => read(bytes, "a challenge's reply", |cursor| {
                let (challenge, digest) = (cursor.u32()?, cursor.array()?);
                Some(Ok(Self::Reply { challenge, digest }))
            }),
            other => Err(BadMessage::Kind(other.copied().unwrap_or_default())),
        }
    }

    /// Reads what a dialling node gets.
    pub(crate) fn to_initiator(bytes: &[u8]) -> Result<Self, BadMessage> {
        match bytes.first() {
            Some(b's') => {
                let text = bytes.get(1..).unwrap_or_default();
                let known = Status::ALL
                    .into_iter()
                    .find(|status| status.text().as_bytes() == text);
                known
                    .map(Self::Status)
                    .ok_or_else(|| bad_status(Some(text)))
            }
            Some(b'N') => read(bytes, "a challenge", |cursor| {
                let flags = Flags(cursor.u64()?);
                let (challenge, creation) = (cursor.u32()?, cursor.u32()?);
                let name = NodeName::from_bytes(cursor.counted()?);
                cursor.take(cursor.rest().len())?;
                Some(name.map(|name| Self::Challenge {
                    flags,
                    challenge,
                    creation,
                    name,
                }))
            }),
            Some(b'a') => read(bytes, "an acknowledgement", |cursor| {
                cursor.array().map(|digest| Ok(Self::Ack { digest }))
            }),
            other => Err(BadMessage::Kind(other.copied().unwrap_or_default())),
        }
    }
}

/// All of a message must be read, and no more than that be there.
fn read(
    bytes: &[u8],
    what: &'static str,
    fields: impl FnOnce(&mut Cursor<'_>) -> Option<Result<Message, BadName>>,
) -> Result<Message, BadMessage> {
    let mut cursor = Cursor::new(bytes.get(1..).unwrap_or_default());
    match fields(&mut cursor) {
        Some(message) if cursor.is_empty() => Ok(message?),
        _ => Err(BadMessage::Length(what, bytes.len())),
    }
}

fn bad_status(text: Option<&[u8]>) -> BadMessage {
    let text = String::from_utf8_lossy(text.unwrap_or_default());
    BadMessage::Status(text.chars().take(32).collect())
}

fn put_name(out: &mut Vec<u8>, name: &NodeName) {
    let length = u16::try_from(name.as_str().len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(name.as_str().as_bytes());
}

/// The lower half of the flags.
fn low(flags: Flags) -> [u8; 4] {
    let [_, _, _, _, a, b, c, d] = flags.0.to_be_bytes();
    [a, b, c, d]
}
