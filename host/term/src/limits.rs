//! How much a peer may make us keep while a term is read.

/// Bounds of one decoded term. A term beyond one of them is refused as a whole.
///
/// Memory for a [`Tape`](crate::Tape) is at most 20 bytes for each of `count` and, where compressed, `bytes`; for a
/// [`Term`](crate::Term) about 64 bytes for each of `count`, and `bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep tuples, lists, maps and funs may nest. Comparing, printing and dropping a `Term` takes stack for each level.
    pub depth: usize,
    /// How many terms in all, the term itself, elements, keys and values each counted. A string, a binary or an atom is one.
    pub count: usize,
    /// How many bytes in the external format, and after decompression.
    pub bytes: usize,
}

impl Default for Limits {
    /// Depth 512, 1,048,576 terms, 64 MiB.
    fn default() -> Limits {
        Limits {
            depth: 512,
            count: 1 << 20,
            bytes: 64 << 20,
        }
    }
}
