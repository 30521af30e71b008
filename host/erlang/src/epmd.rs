//! EPMD, the port mapper of a host: what is asked and answered, both roles.
//!
//! A node registers over a connection that it keeps open for as long as it lives; the answer carries its creation. A port is
//! asked for over a connection of its own. Nothing is connected here. Source: OTP, erl_dist_protocol, "EPMD Protocol".

use crate::wire::cursor::Cursor;

/// Where EPMD listens unless `ERL_EPMD_PORT` says otherwise.
pub const PORT: u16 = 4369;

/// Versions of the distribution protocol that we speak: with 6 came the handshake of OTP 23.
pub const HIGHEST: u16 = 6;
/// See [`HIGHEST`].
pub const LOWEST: u16 = 5;

/// Longest request that is read.
const MAX_REQUEST: usize = 4096;
/// Longest list of names that is read.
const MAX_NAMES: usize = 1 << 20;

const ALIVE2_REQ: u8 = 120;
const ALIVE2_RESP: u8 = 121;
const ALIVE2_X_RESP: u8 = 118;
const PORT_PLEASE2_REQ: u8 = 122;
const PORT2_RESP: u8 = 119;
const NAMES_REQ: u8 = 110;
const TCP_IPV4: u8 = 0;

/// What is no message of EPMD's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEpmd {
    /// Another message than the one expected.
    #[error("EPMD: expected {expected}, got a message of type {got}")]
    Type {
        /// What would have fitted.
        expected: &'static str,
        /// Its first byte.
        got: u8,
    },
    /// Cut short, too long, or text that is none.
    #[error("EPMD: {0} can't be read")]
    Malformed(&'static str),
}

/// How a node shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Listed in `nodes()`.
    Normal,
    /// Only in `nodes(hidden)`.
    Hidden,
}

/// What EPMD knows of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The part of its name before the `@`.
    pub alive: String,
    /// Where it listens.
    pub port: u16,
    /// How it shows itself.
    pub kind: Kind,
    /// Highest version of the distribution protocol.
    pub highest: u16,
    /// Lowest version of the distribution protocol.
    pub lowest: u16,
}

impl Registration {
    /// Ours.
    pub fn hidden(alive: &str, port: u16) -> Self {
        Self {
            alive: alive.to_owned(),
            port,
            kind: Kind::Hidden,
            highest: HIGHEST,
            lowest: LOWEST,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.port.to_be_bytes());
        out.push(match self.kind {
            Kind::Normal => 77,
            Kind::Hidden => 72,
        });
        out.push(TCP_IPV4);
        out.extend(self.highest.to_be_bytes());
        out.extend(self.lowest.to_be_bytes());
        put_counted(out, self.alive.as_bytes());
        put_counted(out, &[]);
    }

    /// `None` where bytes are missing.
    fn decode(cursor: &mut Cursor<'_>) -> Option<Result<Self, BadEpmd>> {
        let port = cursor.u16()?;
        let kind = cursor.u8()?;
        let _protocol = cursor.u8()?;
        let (highest, lowest) = (cursor.u16()?, cursor.u16()?);
        let alive = cursor.counted()?;
        cursor.counted()?;
        let kind = if kind == 72 {
            Kind::Hidden
        } else {
            Kind::Normal
        };
        Some(text(alive, "a node's name").map(|alive| Self {
            alive,
            port,
            kind,
            highest,
            lowest,
        }))
    }
}

/// What a node or a tool asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Register a node for as long as the connection is open.
    Register(Registration),
    /// Where does the node of that name listen?
    Port(String),
    /// Which nodes are there?
    Names,
}

impl Request {
    /// With its length in front, as it goes out.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Register(registration) => {
                body.push(ALIVE2_REQ);
                registration.encode(&mut body);
            }
            Self::Port(alive) => {
                body.push(PORT_PLEASE2_REQ);
                body.extend(alive.as_bytes());
            }
            Self::Names => body.push(NAMES_REQ),
        }
        let mut out = Vec::with_capacity(body.len() + 2);
        put_counted(&mut out, &body);
        out
    }

    /// Reads one from the front of what came: the request and its length, or `None` until more comes.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadEpmd> {
        let mut cursor = Cursor::new(bytes);
        match cursor.u16() {
            None => return Ok(None),
            Some(length) if length == 0 || usize::from(length) > MAX_REQUEST => {
                return Err(BadEpmd::Malformed("a request's length"));
            }
            Some(_) => {}
        }
        let Some(body) = Cursor::new(bytes).counted() else {
            return Ok(None);
        };
        let length = body.len() + 2;
        let mut cursor = Cursor::new(body);
        let request = match cursor.u8() {
            Some(ALIVE2_REQ) => Self::Register(
                Registration::decode(&mut cursor).ok_or(BadEpmd::Malformed("a registration"))??,
            ),
            Some(PORT_PLEASE2_REQ) => Self::Port(text(cursor.rest(), "a node's name")?),
            Some(NAMES_REQ) => Self::Names,
            got => {
                return Err(BadEpmd::Type {
                    expected: "a request",
                    got: got.unwrap_or_default(),
                });
            }
        };
        Ok(Some((request, length)))
    }
}

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// Done; this creation tells the node's pids from those of earlier ones of its name.
    Yes {
        /// 1 to 3 from an old EPMD, 32 bits from one of OTP 23 or later.
        creation: u32,
    },
    /// Refused: another node has that name.
    Taken,
}

impl Registered {
    /// As EPMD of OTP 23 or later answers.
    pub fn encode(&self) -> Vec<u8> {
        let (result, creation) = match self {
            Self::Yes { creation } => (0, *creation),
            Self::Taken => (1, 99),
        };
        let mut out = vec![ALIVE2_X_RESP, result];
        out.extend(creation.to_be_bytes());
        out
    }

    /// Reads EPMD's answer, old or new; `None` until more comes.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, BadEpmd> {
        let mut cursor = Cursor::new(bytes);
        let (kind, result) = match (cursor.u8(), cursor.u8()) {
            (Some(kind @ (ALIVE2_RESP | ALIVE2_X_RESP)), Some(result)) => (kind, result),
            (Some(ALIVE2_RESP | ALIVE2_X_RESP) | None, _) => return Ok(None),
            (Some(got), _) => {
                return Err(BadEpmd::Type {
                    expected: "an answer to a registration",
                    got,
                });
            }
        };
        if result != 0 {
            return Ok(Some(Self::Taken));
        }
        let creation = if kind == ALIVE2_RESP {
            cursor.u16().map(u32::from)
        } else {
            cursor.u32()
        };
        Ok(creation.map(|creation| Self::Yes { creation }))
    }
}

/// Where a node listens, or that EPMD knows none of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There it is.
    Node(Registration),
    /// There is none.
    Nowhere,
}

impl Found {
    /// As EPMD answers.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Node(registration) => {
                let mut out = vec![PORT2_RESP, 0];
                registration.encode(&mut out);
                out
            }
            Self::Nowhere => vec![PORT2_RESP, 1],
        }
    }

    /// Reads EPMD's answer; `None` until more comes.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, BadEpmd> {
        let mut cursor = Cursor::new(bytes);
        match (cursor.u8(), cursor.u8()) {
            (Some(PORT2_RESP), Some(0)) => Registration::decode(&mut cursor)
                .map(|registration| registration.map(Self::Node))
                .transpose(),
            (Some(PORT2_RESP), Some(_)) => Ok(Some(Self::Nowhere)),
            (Some(PORT2_RESP) | None, _) => Ok(None),
            (Some(got), _) => Err(BadEpmd::Type {
                expected: "a node's port",
                got,
            }),
        }
    }
}

/// One line of [`Request::Names`]'s answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The part of its name before the `@`.
    pub alive: String,
    /// Where it listens.
    pub port: u16,
}

/// Writes the answer to [`Request::Names`]: EPMD's own port, then a line for each node.
pub fn encode_names(epmd_port: u16, nodes: &[Named]) -> Vec<u8> {
    let mut out = u32::from(epmd_port).to_be_bytes().to_vec();
    for Named { alive, port } in nodes {
        out.extend(format!("name {alive} at port {port}\n").into_bytes());
    }
    out
}

/// Reads the answer to [`Request::Names`], which ends with the connection.
pub fn decode_names(bytes: &[u8]) -> Result<Vec<Named>, BadEpmd> {
    let bad = BadEpmd::Malformed("the list of names");
    if bytes.len() > MAX_NAMES {
        return Err(bad);
    }
    let lines = bytes.get(4..).ok_or(bad)?;
    let lines = std::str::from_utf8(lines).map_err(|_| bad)?;
    let line = |line: &str| {
        let (alive, port) = line.strip_prefix("name ")?.rsplit_once(" at port ")?;
        Some(Named {
            alive: alive.to_owned(),
            port: port.trim_end().parse().ok()?,
        })
    };
    lines.lines().map(|l| line(l).ok_or(bad)).collect()
}

fn put_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    let count = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(count.to_be_bytes());
    out.extend(bytes.iter().take(count.into()));
}

fn text(bytes: &[u8], what: &'static str) -> Result<String, BadEpmd> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(BadEpmd::Malformed(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roundtrip(request: &Request) {
        let bytes = request.encode();
        for cut in 0..bytes.len() {
            assert_eq!(Request::decode(&bytes[..cut]), Ok(None), "cut at {cut}");
        }
        assert_eq!(
            Request::decode(&bytes),
            Ok(Some((request.clone(), bytes.len())))
        );
    }

    #[test]
    fn requests_come_back() {
        roundtrip(&Request::Register(Registration::hidden("proxy", 4711)));
        roundtrip(&Request::Port("node1".into()));
        roundtrip(&Request::Names);
    }

    #[test]
    fn a_registration_is_what_epmd_documents() {
        let bytes = Request::Register(Registration::hidden("px", 0x1234)).encode();
        assert_eq!(
            bytes,
            [
                0, 15, 120, 0x12, 0x34, 72, 0, 0, 6, 0, 5, 0, 2, b'p', b'x', 0, 0
            ]
        );
    }

    #[test]
    fn both_answers_to_a_registration_are_read() {
        let yes = |creation| Ok(Some(Registered::Yes { creation }));
        assert_eq!(Registered::decode(&[121, 0, 0, 3]), yes(3));
        assert_eq!(Registered::decode(&[118, 0, 1, 0, 0, 3]), yes(0x0100_0003));
        assert_eq!(Registered::decode(&[118, 0, 1, 0, 0]), Ok(None));
        assert_eq!(
            Registered::decode(&[118, 1, 0, 0, 0, 99]),
            Ok(Some(Registered::Taken))
        );
        assert!(Registered::decode(b"GET / HTTP").is_err());
        for answer in [Registered::Yes { creation: 7 }, Registered::Taken] {
            assert_eq!(Registered::decode(&answer.encode()), Ok(Some(answer)));
        }
    }

    #[test]
    fn a_port_is_found_or_not() {
        for found in [Found::Node(Registration::hidden("a", 1)), Found::Nowhere] {
            assert_eq!(Found::decode(&found.encode()), Ok(Some(found)));
        }
        assert_eq!(Found::decode(&[119, 0, 1]), Ok(None));
    }

    #[test]
    fn names_are_read_line_by_line() {
        // As epmd of OTP 25.2.3 wrote it (08-lifecycle).
        let text = b"\0\0\x11\x11name px0 at port 44117\nname px1 at port 39629\n";
        let names = decode_names(text).unwrap();
        let named = |alive: &str, port| Named {
            alive: alive.into(),
            port,
        };
        assert_eq!(names, [named("px0", 44117), named("px1", 39629)]);
        assert_eq!(encode_names(PORT, &names), text);
        assert!(decode_names(b"\0\0").is_err());
    }
}
