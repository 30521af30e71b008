//! COMPRESSED terms: `80, length of what comes out, zlib stream`. The output buffer is as long as announced, which the limits
//! and the most that deflate can pack bound before it is made.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::{Limits, Malformed};

/// Deflate packs at most 1032 bytes into one.
const DENSEST: usize = 1032;

/// The uncompressed bytes, and how many bytes of `stream` they took.
pub(crate) fn inflate(
    stream: &[u8],
    wanted: usize,
    limits: &Limits,
) -> Result<(Vec<u8>, usize), Malformed> {
    if wanted > limits.bytes {
        return Err(Malformed::Bytes {
            limit: limits.bytes,
        });
    }
    let broken = Malformed::Compressed { wanted };
    if wanted > stream.len().saturating_mul(DENSEST) {
        return Err(broken);
    }
    let mut out = vec![0; wanted];
    let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
        | inflate_flags::TINFL_FLAG_COMPUTE_ADLER32
        | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = Box::<DecompressorOxide>::default();
    let (status, taken, written) = decompress(&mut state, stream, &mut out, 0, flags);
    if status == TINFLStatus::Done && written == wanted {
        Ok((out, taken))
    } else {
        Err(broken)
    }
}
