//! The hashes of digest authentication and the values built from them: H, A1, A2 and the response. RFC 7616 3.4, RFC 8760 2.

use md5::Md5;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// MD5, which old phones know alone.
    Md5,
    /// SHA-256 (RFC 8760).
    Sha256,
}

/// What `algorithm` names: a hash function, and whether the session's nonces go into A1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Algorithm {
    /// The hash function.
    pub hash: Hash,
    /// `-sess`: A1 also covers the nonce and the client's nonce.
    pub session: bool,
}

impl Algorithm {
    /// `MD5`
    pub const MD5: Self = Self {
        hash: Hash::Md5,
        session: false,
    };
    /// `MD5-sess`
    pub const MD5_SESS: Self = Self {
        hash: Hash::Md5,
        session: true,
    };
    /// `SHA-256`
    pub const SHA256: Self = Self {
        hash: Hash::Sha256,
        session: false,
    };
    /// `SHA-256-sess`
    pub const SHA256_SESS: Self = Self {
        hash: Hash::Sha256,
        session: true,
    };

    /// Reads the name, whatever its case; `None` for one that we do not have.
    ///
    /// ```
    /// use switchhook_sip::digest::Algorithm;
    /// assert_eq!(Algorithm::of(b"sha-256"), Some(Algorithm::SHA256));
    /// assert_eq!(Algorithm::of(b"SHA-512-256"), None);
    /// ```
    pub fn of(name: &[u8]) -> Option<Self> {
        [Self::MD5, Self::MD5_SESS, Self::SHA256, Self::SHA256_SESS]
            .into_iter()
            .find(|algorithm| name.eq_ignore_ascii_case(algorithm.as_str().as_bytes()))
    }

    /// As written in a challenge.
    pub const fn as_str(self) -> &'static str {
        match (self.hash, self.session) {
            (Hash::Md5, false) => "MD5",
            (Hash::Md5, true) => "MD5-sess",
            (Hash::Sha256, false) => "SHA-256",
            (Hash::Sha256, true) => "SHA-256-sess",
        }
    }
}

/// What a hash gives: 16 or 32 bytes.
#[derive(Clone, Copy)]
pub struct Output {
    bytes: [u8; 32],
    hash: Hash,
}

impl Output {
    /// Of a hash that is stored: it must be of the function's length.
    pub fn from_bytes(hash: Hash, bytes: &[u8]) -> Option<Self> {
        let mut output = Self {
            bytes: [0; 32],
            hash,
        };
        let to = output.bytes.get_mut(..hash.len())?;
        if to.len() != bytes.len() {
            return None;
        }
        to.copy_from_slice(bytes);
        Some(output)
    }

    /// Of hexadecimal digits in either case.
    ///
    /// ```
    /// use switchhook_sip::digest::{Hash, Output};
    /// let output = Output::from_hex(Hash::Md5, b"939e7578ED9e3c518a452acee763bce9").unwrap();
    /// assert_eq!(output.to_string(), "939e7578ed9e3c518a452acee763bce9");
    /// assert!(Output::from_hex(Hash::Sha256, b"939e").is_none());
    /// ```
    pub fn from_hex(hash: Hash, digits: &[u8]) -> Option<Self> {
        if digits.len() != hash.len() * 2 {
            return None;
        }
        let mut bytes = [0; 32];
        for (to, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *to = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self { bytes, hash })
    }

    /// The function that made it.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.hash.len()).unwrap_or_default()
    }

    /// Equality in time that does not depend on the bytes.
    pub fn same(&self, other: &Self) -> bool {
        self.hash == other.hash && bool::from(self.bytes.ct_eq(&other.bytes))
    }

    /// Lower-case digits, as they are hashed again.
    pub(super) fn hex(&self) -> Hex {
        let mut hex = Hex {
            digits: [0; 64],
            len: self.hash.len() * 2,
        };
        for (to, byte) in hex.digits.chunks_exact_mut(2).zip(self.as_bytes()) {
            to.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        hex
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(self.hex().as_bytes()).unwrap_or_default())
    }
}

/// A hash of a password is as good as the password: it does not get into logs.
impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Output({:?}, ..)", self.hash)
    }
}

pub(super) struct Hex {
    digits: [u8; 64],
    len: usize,
}

impl Hex {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}

impl Hash {
    /// Bytes of its output.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a length of the output, never zero"
    )]
    pub const fn len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha256 => 32,
        }
    }

    /// H of the parts with a colon between them.
    pub(super) fn of(self, parts: &[&[u8]]) -> Output {
        match self {
            Self::Md5 => hashed(self, Md5::new(), parts),
            Self::Sha256 => hashed(self, Sha256::new(), parts),
        }
    }
}

fn hashed(hash: Hash, mut state: impl Digest, parts: &[&[u8]]) -> Output {
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            state.update(b":");
        }
        state.update(part);
    }
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(state.finalize().iter()) {
        *to = *from;
    }
    Output { bytes, hash }
}

/// H(user:realm:password): what a server may keep instead of a password (RFC 7616 3.4.2).
pub(super) fn ha1(hash: Hash, user: &[u8], realm: &[u8], password: &[u8]) -> Output {
    hash.of(&[user, realm, password])
}

/// The parts of a response that come with the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub(super) method: &'a [u8],
    pub(super) uri: &'a [u8],
    pub(super) nonce: &'a [u8],
    /// `nc`, `cnonce` and `qop`; none in RFC 2069's form.
    pub(super) quality: Option<(&'a [u8], &'a [u8], &'a [u8])>,
}

/// The response that the right password gives (RFC 7616 3.4.1). For a `-sess` algorithm without a client's nonce, A1 is that
/// of an empty one, as RFC 2617's own code has it.
pub(super) fn expected(algorithm: Algorithm, ha1: &Output, exchange: &Exchange<'_>) -> Output {
    let hash = algorithm.hash;
    let cnonce = exchange.quality.map_or(&b""[..], |(_, cnonce, _)| cnonce);
    let ha1 = if algorithm.session {
        hash.of(&[ha1.hex().as_bytes(), exchange.nonce, cnonce])
    } else {
        *ha1
    };
    let ha2 = hash.of(&[exchange.method, exchange.uri]);
    let (ha1, ha2) = (ha1.hex(), ha2.hex());
    match exchange.quality {
        Some((nc, cnonce, qop)) => hash.of(&[
            ha1.as_bytes(),
            exchange.nonce,
            nc,
            cnonce,
            qop,
            ha2.as_bytes(),
        ]),
        None => hash.of(&[ha1.as_bytes(), exchange.nonce, ha2.as_bytes()]),
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|n| u8::try_from(n).ok())
}

fn digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble & 15) - 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2617 3.5 and RFC 7616 3.9.1, whose method is GET.
    #[test]
    fn the_rfcs_own_examples() {
        let ha1_2617 = ha1(
            Hash::Md5,
            b"Mufasa",
            b"testrealm@host.com",
            b"Circle Of Life",
        );
        let exchange = Exchange {
            method: b"GET",
            uri: b"/dir/index.html",
            nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            quality: Some((b"00000001", b"0a4f113b", b"auth")),
        };
        assert_eq!(
            expected(Algorithm::MD5, &ha1_2617, &exchange).to_string(),
            "6629fae49393a05397450978507c4ef1"
        );

        let exchange = Exchange {
            nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            quality: Some((
                b"00000001",
                b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                b"auth",
            )),
            ..exchange
        };
        for (algorithm, response) in [
            (Algorithm::MD5, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                Algorithm::SHA256,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let ha1 = ha1(
                algorithm.hash,
                b"Mufasa",
                b"http-auth@example.org",
                b"Circle of Life",
            );
            assert_eq!(expected(algorithm, &ha1, &exchange).to_string(), response);
        }
    }

    #[test]
    fn a_hash_stays_out_of_logs() {
        let ha1 = ha1(Hash::Md5, b"a", b"b", b"c");
        assert_eq!(format!("{ha1:?}"), "Output(Md5, ..)");
    }
}
