//! Keys and the fields that are made with them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Covered, Signed};
use crate::own::version::NodeId;

/// The most keys.
pub const MAX_KEYS: usize = 8;
/// The least bytes of a secret.
pub const MIN_SECRET: usize = 16;
/// The longest name of a key.
const MAX_NAME: usize = 32;

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Its name.
    #[error("key name: expected 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`, got `{0}`")]
    Name(String),
    /// Its secret.
    #[error("key `{0}`: expected a secret of at least {MIN_SECRET} bytes")]
    Short(String),
    /// Two of one name.
    #[error("key `{0}`: expected each name once")]
    Twice(String),
    /// None, or too many.
    #[error("keys: expected 1 to {MAX_KEYS}, got {0}")]
    Count(usize),
}

/// A key with its name. The secret is never shown.
#[derive(Clone)]
pub struct Key {
    name: Box<str>,
    mac: Hmac<Sha256>,
}

impl Key {
    /// A key of a secret; the name is told with every signature, so that several can be in use.
    pub fn new(name: &str, secret: &[u8]) -> Result<Self, KeyError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
            return Err(KeyError::Name(name.into()));
        }
        let mac = Hmac::new_from_slice(secret).ok();
        let mac = mac.filter(|_| secret.len() >= MIN_SECRET);
        let mac = mac.ok_or_else(|| KeyError::Short(name.into()))?;
        let name = name.into();
        Ok(Self { name, mac })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name)
    }
}

/// The keys of our nodes: the first signs, each verifies.
#[derive(Debug, Clone)]
pub struct Keyring(Box<[Key]>);

impl Keyring {
    /// Those keys, in that order.
    pub fn new(keys: Vec<Key>) -> Result<Self, KeyError> {
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(KeyError::Count(keys.len()));
        }
        for (at, key) in keys.iter().enumerate() {
            if keys.iter().skip(at + 1).any(|other| other.name == key.name) {
                return Err(KeyError::Twice(key.name.to_string()));
            }
        }
        Ok(Self(keys.into()))
    }

    /// The name of the key that signs, and its signature.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> (&str, String) {
        let Some(key) = self.0.first() else {
            return ("", String::new());
        };
        let mac = over(key, parts).finalize().into_bytes();
        (&key.name, URL_SAFE_NO_PAD.encode(mac))
    }

    /// Whether that key's signature is over this; in constant time but for the name.
    pub(super) fn verifies(&self, name: &str, mac: &str, parts: &[&[u8]]) -> bool {
        let key = self.0.iter().find(|key| *key.name == *name);
        let (Some(key), Ok(mac)) = (key, URL_SAFE_NO_PAD.decode(mac)) else {
            return false;
        };
        over(key, parts).verify_slice(&mac).is_ok()
    }
}

fn over(key: &Key, parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = key.mac.clone();
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

/// A field as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    pub key: &'a str,
    pub node: NodeId,
    pub time: u64,
    pub count: u64,
    pub mac: &'a str,
}

impl<'a> Claim<'a> {
    pub(super) fn read(field: &'a str) -> Option<Self> {
        let [key, node, time, count, mac] = values(field, ["key", "node", "time", "count", "mac"])?;
        Some(Self {
            key,
            node: node.parse().ok()?,
            time: number(time)?,
            count: number(count)?,
            mac,
        })
    }

    /// Whether one of our keys signed it.
    pub(super) fn is_genuine(&self, keys: &Keyring, covered: &Covered<'_>) -> bool {
        let parts = |parts: &[&[u8]]| keys.verifies(self.key, self.mac, parts);
        request_parts(self.node, (self.time, self.count), covered, parts)
    }
}

/// What is signed of a request.
pub(super) fn request_parts<R>(
    node: NodeId,
    (time, count): (u64, u64),
    covered: &Covered<'_>,
    with: impl FnOnce(&[&[u8]]) -> R,
) -> R {
    with(&[
        b"request",
        covered.method.as_bytes(),
        covered.uri,
        &node.number().to_be_bytes(),
        &time.to_be_bytes(),
        &count.to_be_bytes(),
        covered.body,
    ])
}

/// What is signed of an answer of that life at that time.
pub(super) fn answer_parts<R>(
    (node, time): (NodeId, u64),
    to: Signed,
    status: u16,
    body: &[u8],
    with: impl FnOnce(&[&[u8]]) -> R,
) -> R {
    with(&[
        b"answer",
        &status.to_be_bytes(),
        &node.number().to_be_bytes(),
        &time.to_be_bytes(),
        &to.node.number().to_be_bytes(),
        &to.count.to_be_bytes(),
        body,
    ])
}

/// Exactly these parameters, in this order: a field has one spelling.
fn values<'a, const N: usize>(field: &'a str, names: [&str; N]) -> Option<[&'a str; N]> {
    let mut params = field.split(';');
    let mut values = [""; N];
    for (value, name) in values.iter_mut().zip(names) {
        let (is, text) = params.next()?.split_once('=')?;
        if is != name || text.is_empty() {
            return None;
        }
        *value = text;
    }
    params.next().is_none().then_some(values)
}

/// Digits only.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
