//! The nodes of a term, found in one pass over its bytes.
//!
//! A tape is a flat list: each term is a node, followed by the nodes of its parts. Its memory is kept from one message to the next, so that
//! reading one allocates nothing. The pass is a loop with a stack of its own, bounded by `Limits::depth`.
//!
//! Everything is checked here, so that a [`View`] only reads: lengths, atoms, floats, identities, funs. One thing is not: whether a
//! map has a key twice, for which the keys must be compared; [`View::to_term`] does, and [`Tape::check`].

use crate::inflate::inflate;
use crate::read::Reader;
use crate::{Limits, Malformed, View, tag};

/// A term as nodes over its bytes. Reused for one term after the other.
#[derive(Debug, Default)]
pub struct Tape {
    nodes: Vec<Node>,
    open: Vec<Open>,
    inflated: Vec<u8>,
}

/// One term: where it lies, and which nodes are its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// Where its tag is.
    pub(crate) at: u32,
    /// The first byte after it.
    pub(crate) end: u32,
    /// The first node that is no part of it.
    pub(crate) next: u32,
    /// Elements of a tuple or list (without the tail), pairs of a map, all parts of a fun; bytes of a string, binary or atom.
    pub(crate) len: u32,
    pub(crate) tag: u8,
}

impl Node {
    fn leaf(at: usize, end: usize, index: usize, tag: u8) -> Node {
        Node {
            at: narrow(at),
            end: narrow(end),
            next: narrow(index.saturating_add(1)),
            len: 0,
            tag,
        }
    }
}

/// A term whose parts are still being read.
#[derive(Clone, Copy, Debug)]
struct Open {
    node: usize,
    /// Terms that are still to come where it stands, itself among them.
    outer: u64,
    kind: u8,
    /// Where a fun says that it ends.
    end: usize,
}

impl Tape {
    /// An empty one.
    #[must_use]
    pub fn new() -> Tape {
        Tape::default()
    }

    /// A term alone: version, term, end.
    ///
    /// # Errors
    /// When it is none, or beyond the limits.
    pub fn decode<'t>(
        &'t mut self,
        bytes: &'t [u8],
        limits: &Limits,
    ) -> Result<View<'t>, Malformed> {
        let length = bytes.len();
        let (view, end) = self.decode_prefix(bytes, limits)?;
        whole(end, length)?;
        Ok(view)
    }

    /// A term with its version, and how many bytes it took; more may follow.
    ///
    /// # Errors
    /// When it is none, or beyond the limits.
    pub fn decode_prefix<'t>(
        &'t mut self,
        bytes: &'t [u8],
        limits: &Limits,
    ) -> Result<(View<'t>, usize), Malformed> {
        let mut reader = Reader::new(bytes, 0);
        let found = reader.u8()?;
        if found != tag::VERSION {
            return Err(Malformed::Version { found });
        }
        if bytes.get(1) != Some(&tag::COMPRESSED) {
            return self.decode_bare(bytes, 1, limits);
        }
        reader.u8()?;
        let wanted = reader.length()?;
        let stream = reader.take(reader.left())?;
        let (inflated, taken) = inflate(stream, wanted, limits)?;
        self.inflated = inflated;
        let end = scan(&self.inflated, 0, limits, &mut self.nodes, &mut self.open)?;
        whole(end, wanted)?;
        Ok((
            View::new(&self.inflated, &self.nodes),
            taken.saturating_add(6),
        ))
    }

    /// A term without version from byte `at`, and where it ends. So are terms written after a distribution header.
    ///
    /// # Errors
    /// When it is none, or beyond the limits.
    pub fn decode_bare<'t>(
        &'t mut self,
        bytes: &'t [u8],
        at: usize,
        limits: &Limits,
    ) -> Result<(View<'t>, usize), Malformed> {
        let end = scan(bytes, at, limits, &mut self.nodes, &mut self.open)?;
        Ok((View::new(bytes, &self.nodes), end))
    }

    /// Whether the bytes are a term alone that a peer will take: all that decoding checks, and that no map has a key twice.
    ///
    /// # Errors
    /// When they are not.
    pub fn check(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), Malformed> {
        let view = self.decode(bytes, limits)?;
        if view.has_maps() {
            view.to_term()?;
        }
        Ok(())
    }

    /// Gives memory back that a great term took.
    pub fn shrink(&mut self) {
        const KEPT: usize = 4096;
        self.inflated = Vec::new();
        self.nodes.clear();
        self.nodes.shrink_to(KEPT);
        self.open.shrink_to(KEPT);
    }
}

fn whole(end: usize, length: usize) -> Result<(), Malformed> {
    match length.checked_sub(end) {
        None | Some(0) => Ok(()),
        Some(left) => Err(Malformed::Trailing { at: end, left }),
    }
}

/// What one tag and its fixed parts say.
struct Head {
    len: usize,
    /// How many terms follow that are its parts.
    parts: u64,
    fun_end: usize,
}

impl Head {
    const LEAF: Head = Head::leaf(0);

    const fn leaf(len: usize) -> Head {
        Head {
            len,
            parts: 0,
            fun_end: 0,
        }
    }
}

/// Reads the term at `at`; gives where it ends.
fn scan(
    bytes: &[u8],
    at: usize,
    limits: &Limits,
    nodes: &mut Vec<Node>,
    open: &mut Vec<Open>,
) -> Result<usize, Malformed> {
    nodes.clear();
    open.clear();
    let reach = at.saturating_add(limits.bytes);
    // offsets are 32 bits wide
    let bytes = bytes
        .get(..reach.min(bytes.len()).min(u32::MAX as usize))
        .unwrap_or_default();
    scan_within(bytes, at, limits, nodes, open).map_err(|error| match error {
        Malformed::Truncated { at, .. } if at >= reach => Malformed::Bytes {
            limit: limits.bytes,
        },
        error => error,
    })
}

fn scan_within(
    bytes: &[u8],
    at: usize,
    limits: &Limits,
    nodes: &mut Vec<Node>,
    open: &mut Vec<Open>,
) -> Result<usize, Malformed> {
    let mut reader = Reader::new(bytes, at);
    // terms that are still to come in the innermost of those that are open, or at the top
    let mut left = 1;
    loop {
        let at = reader.at();
        let rest = bytes.get(at..).unwrap_or_default();
        if left == 1
            && let [kind @ (tag::LIST | tag::STRING), ..] = *rest
            && let Some(list) = open.last()
            && list.kind == tag::LIST
        {
            reader.u8()?;
            match extend_list(kind, &mut reader, list.node, nodes, limits)? {
                Tail::List(more) => left += more,
                Tail::String => {
                    if close(reader.at(), nodes, open, &mut left)? {
                        return Ok(reader.at());
                    }
                }
            }
            continue;
        }
        let (kind, head) = match *rest {
            [kind, ..] => match common(rest) {
                Some((length, head)) => {
                    reader.back_to(at.saturating_add(length));
                    (kind, head)
                }
                None => {
                    reader.u8()?;
                    (kind, head(kind, at, &mut reader)?)
                }
            },
            [] => (reader.u8()?, Head::LEAF),
        };
        let node = nodes.len();
        if node >= limits.count {
            return Err(Malformed::Count {
                at,
                limit: limits.count,
            });
        }
        nodes.push(Node {
            len: narrow(head.len),
            ..Node::leaf(at, reader.at(), node, kind)
        });
        if head.parts > 0 {
            fits(head.parts, &reader, at)?;
            if open.len() >= limits.depth {
                return Err(Malformed::Depth {
                    at,
                    limit: limits.depth,
                });
            }
            open.push(Open {
                node,
                outer: left,
                kind,
                end: head.fun_end,
            });
            left = head.parts;
            continue;
        }
        left -= 1;
        if left == 0 && close(reader.at(), nodes, open, &mut left)? {
            return Ok(reader.at());
        }
    }
}

/// The kinds that messages are made of, straight from the bytes: how many of them are the term's own, and what they say. None for all
/// others, and for what is malformed: [`head`] says how.
#[inline]
fn common(bytes: &[u8]) -> Option<(usize, Head)> {
    Some(match *bytes {
        [tag::SMALL_ATOM_UTF8, length, ref text @ ..] => {
            let length = usize::from(length);
            text.get(..length).filter(|text| text.is_ascii())?;
            (length + 2, Head::LEAF)
        }
        [tag::SMALL_TUPLE, arity, ..] => (2, container(arity.into(), arity.into())),
        [tag::SMALL_INTEGER, _, ..] => (2, Head::LEAF),
        [tag::INTEGER, _, _, _, _, ..] => (5, Head::LEAF),
        [tag::NIL, ..] => (1, Head::LEAF),
        [tag::STRING, a, b, ref text @ ..] => {
            let length = usize::from(u16::from_be_bytes([a, b]));
            text.get(..length)?;
            (length + 3, Head::leaf(length))
        }
        [tag::BINARY, a, b, c, d, ref content @ ..] => {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            content.get(..length)?;
            (length + 5, Head::leaf(length))
        }
        [tag::LIST, a, b, c, d, ..] => match u32::from_be_bytes([a, b, c, d]) {
            0 => return None,
            length => (5, container(length as usize, u64::from(length) + 1)),
        },
        [tag::NEW_FLOAT, a, b, _, _, _, _, _, _, ..] if (a & 0x7f, b & 0xf0) != (0x7f, 0xf0) => {
            (9, Head::LEAF)
        }
        _ => return None,
    })
}

/// The last part of a term has ended, and so may what the term is a part of. Tells whether the whole term has.
fn close(
    end: usize,
    nodes: &mut [Node],
    open: &mut Vec<Open>,
    left: &mut u64,
) -> Result<bool, Malformed> {
    while let Some(parent) = open.pop() {
        let next = narrow(nodes.len());
        if let Some(node) = nodes.get_mut(parent.node) {
            node.end = narrow(end);
            node.next = next;
        }
        if parent.kind == tag::NEW_FUN {
            check_fun(nodes, &parent, end)?;
        }
        *left = parent.outer - 1;
        if *left > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first four parts of a fun are its module, two integers and a pid, and it ends where it said.
fn check_fun(nodes: &[Node], fun: &Open, end: usize) -> Result<(), Malformed> {
    let part = |index: usize| {
        let node = nodes.get(fun.node.saturating_add(index));
        node.map_or(0, |node| node.tag)
    };
    let is_integer = |tag| matches!(tag, tag::SMALL_INTEGER | tag::INTEGER | tag::SMALL_BIG);
    let is_atom = matches!(
        part(1),
        tag::SMALL_ATOM_UTF8 | tag::ATOM_UTF8 | tag::SMALL_ATOM | tag::ATOM
    );
    let is_pid = matches!(part(4), tag::NEW_PID | tag::PID);
    if fun.end == end && is_atom && is_integer(part(2)) && is_integer(part(3)) && is_pid {
        return Ok(());
    }
    let at = nodes.get(fun.node).map_or(0, |node| node.at as usize);
    Err(Malformed::Part { at, kind: "fun" })
}

/// What stands at the end of a list.
enum Tail {
    /// So much more of the list.
    List(u64),
    /// The rest of the list, as bytes.
    String,
}

/// A list in the tail of a list goes on with it, as C nodes write lists whose length they don't know: `[a | [b | []]]`.
fn extend_list(
    kind: u8,
    reader: &mut Reader<'_>,
    list: usize,
    nodes: &mut Vec<Node>,
    limits: &Limits,
) -> Result<Tail, Malformed> {
    let at = reader.at();
    let (more, tail) = if kind == tag::LIST {
        let more = reader.u32()?;
        fits(u64::from(more), reader, at)?;
        (more, Tail::List(more.into()))
    } else {
        let length = reader.u16()?;
        let start = reader.at();
        reader.take(usize::from(length))?;
        if nodes.len().saturating_add(usize::from(length)) >= limits.count {
            return Err(Malformed::Count {
                at,
                limit: limits.count,
            });
        }
        for at in start..reader.at() {
            let end = at.saturating_add(1);
            nodes.push(Node::leaf(at, end, nodes.len(), tag::TAIL_BYTE));
        }
        nodes.push(Node::leaf(reader.at(), reader.at(), nodes.len(), tag::NIL));
        (u32::from(length), Tail::String)
    };
    if let Some(node) = nodes.get_mut(list) {
        node.len = node.len.saturating_add(more);
    }
    Ok(tail)
}

/// Each part takes a byte at least.
fn fits(parts: u64, reader: &Reader<'_>, at: usize) -> Result<(), Malformed> {
    let left = reader.left();
    if parts > left as u64 {
        return Err(Malformed::Truncated {
            at,
            wanted: usize::try_from(parts)
                .unwrap_or(usize::MAX)
                .saturating_sub(left),
        });
    }
    Ok(())
}

/// Offsets and counts are below 4 GiB, because the bytes are cut there.
#[inline]
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Reads what follows a tag, up to its parts.
#[inline]
fn head(kind: u8, at: usize, reader: &mut Reader<'_>) -> Result<Head, Malformed> {
    match kind {
        tag::SMALL_INTEGER => reader.take(1).map(|_| Head::LEAF),
        tag::INTEGER => reader.take(4).map(|_| Head::LEAF),
        tag::SMALL_ATOM_UTF8 => {
            let length = usize::from(reader.u8()?);
            let text = reader.take(length)?;
            if text.is_ascii() || std::str::from_utf8(text).is_ok() {
                Ok(Head::LEAF)
            } else {
                Err(Malformed::Atom { at })
            }
        }
        tag::ATOM_UTF8 | tag::SMALL_ATOM | tag::ATOM => {
            reader.atom_text(kind)?;
            Ok(Head::LEAF)
        }
        tag::NIL => Ok(Head::LEAF),
        tag::SMALL_TUPLE => {
            let arity = reader.u8()?;
            Ok(container(usize::from(arity), u64::from(arity)))
        }
        tag::LARGE_TUPLE => {
            let arity = reader.u32()?;
            Ok(container(arity as usize, u64::from(arity)))
        }
        tag::LIST => {
            let length = reader.u32()?;
            if length == 0 {
                return Err(Malformed::EmptyList { at });
            }
            Ok(container(length as usize, u64::from(length) + 1))
        }
        tag::MAP => {
            let pairs = reader.u32()?;
            Ok(container(pairs as usize, u64::from(pairs) * 2))
        }
        tag::STRING => {
            let length = usize::from(reader.u16()?);
            reader.take(length).map(|_| Head::leaf(length))
        }
        tag::BINARY => {
            let length = reader.length()?;
            reader.take(length).map(|_| Head::leaf(length))
        }
        tag::NEW_FLOAT | tag::FLOAT => reader.float(kind).map(|_| Head::LEAF),
        _ => rare(kind, at, reader),
    }
}

/// The kinds that a message seldom has.
#[inline(never)]
fn rare(kind: u8, at: usize, reader: &mut Reader<'_>) -> Result<Head, Malformed> {
    match kind {
        tag::SMALL_BIG => {
            let length = usize::from(reader.u8()?);
            reader.take(length.saturating_add(1))?;
            Ok(Head::leaf(length))
        }
        tag::LARGE_BIG => {
            let length = reader.length()?;
            reader.take(length.saturating_add(1))?;
            Ok(Head::leaf(length))
        }
        tag::BIT_BINARY => {
            let length = reader.length()?;
            let bits = reader.u8()?;
            if !(1..=8).contains(&bits) {
                return Err(Malformed::Bits { at, bits });
            }
            reader.take(length).map(|_| Head::leaf(length))
        }
        tag::NEW_PID | tag::PID => {
            reader.back_to(at);
            reader.pid().map(|_| Head::LEAF)
        }
        tag::NEW_PORT | tag::V4_PORT | tag::PORT => {
            reader.back_to(at);
            reader.port().map(|_| Head::LEAF)
        }
        tag::NEWER_REFERENCE | tag::NEW_REFERENCE | tag::REFERENCE => {
            reader.back_to(at);
            reader.reference().map(|_| Head::LEAF)
        }
        tag::EXPORT => {
            reader.atom()?;
            reader.atom()?;
            let [kind, _arity] = reader.array()?;
            if kind != tag::SMALL_INTEGER {
                return Err(Malformed::Part { at, kind: "export" });
            }
            Ok(Head::LEAF)
        }
        tag::NEW_FUN => fun(reader),
        tag => Err(Malformed::Tag { at, tag }),
    }
}

/// `size, arity, uniq, index, number of free variables`, then module, old index, old uniq, pid and the free variables as terms.
fn fun(reader: &mut Reader<'_>) -> Result<Head, Malformed> {
    let start = reader.at();
    let size = reader.length()?;
    reader.take(1 + 16 + 4)?;
    let free = reader.u32()?;
    let parts = u64::from(free) + 4;
    Ok(Head {
        len: usize::try_from(parts).unwrap_or(usize::MAX),
        parts,
        fun_end: start.saturating_add(size),
    })
}

fn container(len: usize, parts: u64) -> Head {
    Head {
        len,
        parts,
        fun_end: 0,
    }
}
