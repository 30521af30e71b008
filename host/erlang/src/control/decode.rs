//! From a frame to a control message.
//!
//! A frame is a pass-through (`p`, then whole terms), or it has a distribution header and its terms no version byte, or it is a
//! fragment of one that has. All of it must be read: bytes left over are an error.

use bytes::Bytes;

use super::{Bonds, Control, TermBytes, Who, alternate};
use crate::ids::Pid;
use crate::name::NodeName;
use crate::wire::cursor::Cursor;
use crate::wire::fragments::{BadFragment, Fragments};
use crate::wire::header::AtomCache;
use crate::wire::read::{self, Reader};
use crate::wire::scan::{BadTerm, Scanner, VERSION};

const PASS_THROUGH: u8 = b'p';
const HEADER: u8 = 68;
const FIRST_FRAGMENT: u8 = 69;
const FRAGMENT: u8 = 70;

/// A payload up to this size is copied, so that it does not keep all that was read with it.
const COPIED: usize = 4096;

/// A frame that breaks the protocol. The connection that it came over is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Neither a pass-through nor a header that was agreed on.
    #[error("a frame of type {0}")]
    Type(u8),
    /// A term in it.
    #[error(transparent)]
    Term(#[from] BadTerm),
    /// A fragment out of place.
    #[error(transparent)]
    Fragment(#[from] BadFragment),
    /// A control message that is unknown or has another number of elements.
    #[error("control message {operation} of {arity} elements")]
    Control {
        /// Its number.
        operation: u64,
        /// Its elements.
        arity: usize,
    },
    /// A payload is missing, or there is one too many.
    #[error("control message {0}: its payload is missing or one too many")]
    Payload(u64),
}

/// What is remembered from frame to frame.
#[derive(Debug)]
pub(crate) struct Decoder {
    cache: AtomCache,
    fragments: Fragments,
    scanner: Scanner,
    scratch: Vec<u8>,
    /// The two nodes of the connection: their names are in nearly every pid.
    known: [NodeName; 2],
    /// Whether headers were agreed on.
    headers: bool,
}

impl Decoder {
    /// For a connection of these two; fragments hold at most `limit` bytes.
    pub(crate) fn new(known: [NodeName; 2], headers: bool, limit: usize) -> Self {
        Self {
            cache: AtomCache::new(),
            fragments: Fragments::new(limit),
            scanner: Scanner::default(),
            scratch: Vec::new(),
            known,
            headers,
        }
    }

    /// Reads a frame that is no tick. `None` where more fragments are to come.
    pub(crate) fn decode(&mut self, frame: &Bytes) -> Result<Option<Control>, BadFrame> {
        let mut cursor = Cursor::new(frame);
        let short = BadFrame::Term(BadTerm::Short);
        match cursor.u8() {
            Some(PASS_THROUGH) if !self.headers => return self.pass_through(frame).map(Some),
            Some(VERSION) if self.headers => {}
            other => return Err(BadFrame::Type(other.unwrap_or_default())),
        }
        let whole = match cursor.u8().ok_or(short)? {
            HEADER => {
                let atoms = self.cache.read(&mut cursor)?;
                return self.with_header(cursor.rest(), &atoms).map(Some);
            }
            FIRST_FRAGMENT => {
                let sequence = cursor.u64().ok_or(short)?;
                let count = cursor.u64().ok_or(short)?;
                let atoms = self.cache.read(&mut cursor)?;
                self.fragments
                    .first(sequence, count, atoms, cursor.rest())?
            }
            FRAGMENT => {
                let sequence = cursor.u64().ok_or(short)?;
                let number = cursor.u64().ok_or(short)?;
                self.fragments.next(sequence, number, cursor.rest())?
            }
            other => return Err(BadFrame::Type(other)),
        };
        match whole {
            Some(whole) => self.with_header(&whole.bytes, &whole.atoms).map(Some),
            None => Ok(None),
        }
    }

    fn pass_through(&mut self, frame: &Bytes) -> Result<Control, BadFrame> {
        let terms = frame.get(1..).unwrap_or_default();
        let control = standing(&mut self.scanner, terms)?;
        let rest = terms.get(control.len()..).unwrap_or_default();
        let payload = if rest.is_empty() {
            None
        } else {
            if standing(&mut self.scanner, rest)?.len() != rest.len() {
                return Err(BadTerm::Size.into());
            }
            Some(if rest.len() <= COPIED {
                Bytes::copy_from_slice(rest)
            } else {
                frame.slice_ref(rest)
            })
        };
        let mut reader = Reader::new(control, &self.known);
        reader.version()?;
        control_message(&mut reader, payload)
    }

    fn with_header(&mut self, bytes: &[u8], atoms: &[Bytes]) -> Result<Control, BadFrame> {
        self.scratch.clear();
        let length = self.scanner.copy(bytes, atoms, &mut self.scratch)?;
        let rest = bytes.get(length..).unwrap_or_default();
        let payload = if rest.is_empty() {
            None
        } else {
            let mut payload = Vec::with_capacity(rest.len() + 64);
            payload.push(VERSION);
            if self.scanner.copy(rest, atoms, &mut payload)? != rest.len() {
                return Err(BadTerm::Size.into());
            }
            Some(Bytes::from(payload))
        };
        let mut reader = Reader::new(&self.scratch, &self.known);
        control_message(&mut reader, payload)
    }
}

/// The term with its version byte at the front.
fn standing<'a>(scanner: &mut Scanner, bytes: &'a [u8]) -> Result<&'a [u8], BadTerm> {
    match bytes.split_first() {
        Some((&VERSION, term)) => {
            let length = scanner.length(term)?;
            bytes.get(..=length).ok_or(BadTerm::Short)
        }
        Some((other, _)) => Err(BadTerm::Version(*other)),
        None => Err(BadTerm::Short),
    }
}

/// Reads a control message's tuple, whose parts are plain by now.
fn control_message(
    reader: &mut Reader<'_>,
    mut payload: Option<TermBytes>,
) -> Result<Control, BadFrame> {
    let arity = reader.tuple()?;
    let operation = reader.integer()?;
    let mut scanner = Scanner::default();
    let mut message = || payload.take().ok_or(BadFrame::Payload(operation));
    let control = match (operation, arity) {
        (1, 3) => Control::Link {
            from: reader.pid()?,
            to: reader.pid()?,
        },
        (2, 3) | (12, 4) => {
            reader.any(&mut scanner)?;
            Control::Send {
                from: None,
                to: reader.pid()?,
                message: message()?,
            }
        }
        (22, 3) | (23, 4) => Control::Send {
            from: Some(reader.pid()?),
            to: reader.pid()?,
            message: message()?,
        },
        (6, 4) | (16, 5) => {
            let from = reader.pid()?;
            reader.any(&mut scanner)?;
            Control::RegSend {
                from,
                to: reader.atom()?.into_owned(),
                message: message()?,
            }
        }
        (33, 3) | (34, 4) => Control::AliasSend {
            from: reader.pid()?,
            to: reader.reference()?,
            message: message()?,
        },
        (37, 4 | 5) => {
            let flags = reader.integer()?;
            let sender = reader.pid()?;
            let control = alternate_form(flags, sender, reader, &mut message)?;
            if arity == 5 {
                // The trace token.
                reader.any(&mut scanner)?;
            }
            control
        }
        (3, 4) | (13, 5) | (8, 4) | (18, 5) => {
            let (from, to) = (reader.pid()?, reader.pid()?);
            if arity == 5 {
                // The trace token.
                reader.any(&mut scanner)?;
            }
            let reason = standing_alone(reader.any(&mut scanner)?);
            exit(matches!(operation, 8 | 18), from, to, reason)
        }
        (24, 3) | (25, 4) | (26, 3) | (27, 4) => {
            let (from, to) = (reader.pid()?, reader.pid()?);
            exit(matches!(operation, 26 | 27), from, to, message()?)
        }
        (4, 3) => Control::Unlink {
            id: None,
            from: reader.pid()?,
            to: reader.pid()?,
        },
        (35, 4) => Control::Unlink {
            id: Some(reader.integer()?),
            from: reader.pid()?,
            to: reader.pid()?,
        },
        (36, 4) => Control::UnlinkAck {
            id: reader.integer()?,
            from: reader.pid()?,
            to: reader.pid()?,
        },
        (7, 3) => Control::GroupLeader {
            from: reader.pid()?,
            to: reader.pid()?,
        },
        (19, 4) => Control::Monitor {
            from: reader.pid()?,
            to: who(reader)?,
            reference: reader.reference()?,
        },
        (20, 4) => Control::Demonitor {
            from: reader.pid()?,
            to: who(reader)?,
            reference: reader.reference()?,
        },
        (21, 5) => Control::Down {
            from: who(reader)?,
            to: reader.pid()?,
            reference: reader.reference()?,
            reason: standing_alone(reader.any(&mut scanner)?),
        },
        (28, 4) => Control::Down {
            from: who(reader)?,
            to: reader.pid()?,
            reference: reader.reference()?,
            reason: message()?,
        },
        (29, 6) | (30, 7) => {
            let request = reader.reference()?;
            let (from, group_leader) = (reader.pid()?, reader.pid()?);
            if reader.tuple()? != 3 {
                return Err(BadTerm::Kind("{Module, Function, Arity}").into());
            }
            Control::Spawn {
                request,
                from,
                group_leader,
                module: reader.atom()?.into_owned(),
                function: reader.atom()?.into_owned(),
                arity: reader.integer()?,
                bonds: options(reader, &mut scanner)?,
                arguments: message()?,
            }
        }
        (31, 5) | (32, 6) => {
            let (request, to) = (reader.reference()?, reader.pid()?);
            let flags = reader.integer()?;
            Control::Spawned {
                request,
                to,
                bonds: Bonds {
                    link: flags & 1 != 0,
                    monitor: flags & 2 != 0,
                },
                result: match reader.who()? {
                    read::Who::Pid(pid) => Ok(pid),
                    read::Who::Name(error) => Err(error.into_owned()),
                },
            }
        }
        _ => return Err(BadFrame::Control { operation, arity }),
    };
    match payload {
        None => Ok(control),
        Some(_) => Err(BadFrame::Payload(operation)),
    }
}

/// The rest of `{37, Flags, From, To}` and of the form with a token.
fn alternate_form(
    flags: u64,
    from: Pid,
    reader: &mut Reader<'_>,
    payload: &mut impl FnMut() -> Result<TermBytes, BadFrame>,
) -> Result<Control, BadFrame> {
    let is = |flag| flags & flag != 0;
    Ok(match (is(alternate::EXIT), is(alternate::ALIAS)) {
        (true, true) => Control::AliasExit {
            from,
            to: reader.reference()?,
            reason: payload()?,
        },
        (true, false) => Control::Exit2 {
            from,
            to: reader.pid()?,
            reason: payload()?,
        },
        (false, true) => Control::AliasSend {
            from,
            to: reader.reference()?,
            message: payload()?,
        },
        (false, false) if is(alternate::NAME) => Control::RegSend {
            from,
            to: reader.atom()?.into_owned(),
            message: payload()?,
        },
        (false, false) => Control::Send {
            from: Some(from),
            to: reader.pid()?,
            message: payload()?,
        },
    })
}

fn who(reader: &mut Reader<'_>) -> Result<Who, BadTerm> {
    Ok(match reader.who()? {
        read::Who::Pid(pid) => Who::Pid(pid),
        read::Who::Name(name) => Who::Name(name.into_owned()),
    })
}

fn exit(on_purpose: bool, from: Pid, to: Pid, reason: TermBytes) -> Control {
    if on_purpose {
        Control::Exit2 { from, to, reason }
    } else {
        Control::Exit { from, to, reason }
    }
}

/// A part of a control message as a term of its own.
fn standing_alone(term: &[u8]) -> TermBytes {
    let mut bytes = Vec::with_capacity(term.len() + 1);
    bytes.push(VERSION);
    bytes.extend_from_slice(term);
    bytes.into()
}

/// A spawn request's options: `link`, `monitor`, `{monitor, _}`; others are for the process that is started.
fn options(reader: &mut Reader<'_>, scanner: &mut Scanner) -> Result<Bonds, BadTerm> {
    let mut bonds = Bonds::default();
    let count = reader.list()?;
    for _ in 0..count {
        let mut option = Reader::new(reader.any(scanner)?, &[]);
        let name = match option.rest().first() {
            Some(b'h' | b'i') => {
                option.tuple()?;
                option.atom()
            }
            _ => option.atom(),
        };
        match name.as_deref() {
            Ok("link") => bonds.link = true,
            Ok("monitor") => bonds.monitor = true,
            _ => {}
        }
    }
    if count > 0 {
        // The tail.
        reader.any(scanner)?;
    }
    Ok(bonds)
}
