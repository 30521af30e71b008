//! Why bytes are no term.

/// Bytes that are no term of the external format, or one beyond the limits. Positions count from the first byte given, or from
/// the first decompressed one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end inside a term.
    #[error("the term ends at byte {at}, {wanted} more bytes were expected")]
    Truncated {
        /// Where the bytes that are missing should begin.
        at: usize,
        /// How many are needed from there.
        wanted: usize,
    },
    /// The first byte is not the format's version.
    #[error("the first byte is {found}, expected version 131")]
    Version {
        /// What came.
        found: u8,
    },
    /// No known kind of term.
    #[error("unknown tag {tag} at byte {at}")]
    Tag {
        /// Where.
        at: usize,
        /// What came.
        tag: u8,
    },
    /// Nested too deep.
    #[error("more than {limit} terms inside each other at byte {at}")]
    Depth {
        /// Where the limit was passed.
        at: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many terms.
    #[error("more than {limit} terms at byte {at}")]
    Count {
        /// Where the limit was passed.
        at: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many bytes.
    #[error("more than {limit} bytes")]
    Bytes {
        /// The limit.
        limit: usize,
    },
    /// An atom that is not UTF-8, has more than 255 characters, or is no atom where one must be.
    #[error("no atom of at most 255 characters at byte {at}")]
    Atom {
        /// Where.
        at: usize,
    },
    /// A float that is no finite number.
    #[error("no finite float at byte {at}")]
    Float {
        /// Where.
        at: usize,
    },
    /// A bit string whose last byte has no or more than 8 bits.
    #[error("a bit string with {bits} bits in its last byte at byte {at}")]
    Bits {
        /// Where.
        at: usize,
        /// What came, 1 to 8 were expected.
        bits: u8,
    },
    /// A pid, port, reference, export or fun whose parts are not what they should be.
    #[error("a malformed {kind} at byte {at}")]
    Part {
        /// Where.
        at: usize,
        /// `reference`, `fun` ...
        kind: &'static str,
    },
    /// A list without elements that is not written as the empty list.
    #[error("a list of no elements at byte {at}")]
    EmptyList {
        /// Where.
        at: usize,
    },
    /// A map with the same key twice.
    #[error("a map has a key twice")]
    DuplicateKey,
    /// Compressed data that is no zlib stream or has another length than announced.
    #[error("no zlib stream of {wanted} bytes")]
    Compressed {
        /// The announced length.
        wanted: usize,
    },
    /// Bytes after the term.
    #[error("{left} bytes after the end of the term at byte {at}")]
    Trailing {
        /// Where the term ends.
        at: usize,
        /// How many follow.
        left: usize,
    },
}
