//! Names of nodes.

use std::fmt;
use std::sync::Arc;

/// Longest name of a node, in bytes; an atom has at most 255 characters.
pub(crate) const MAX_NAME: usize = 1020;

/// A full node name: `alive@host`, both parts there. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(Arc<str>);

/// What is no node name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no node name: expected name@host")]
pub struct BadName(pub String);

impl NodeName {
    /// Reads `alive@host`.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let bad = || BadName(text.chars().take(64).collect());
        let (alive, host) = text.split_once('@').ok_or_else(bad)?;
        let plain = |part: &str| {
            !part.is_empty()
                && !part.contains('@')
                && !part.chars().any(|c| c.is_control() || c == ' ')
        };
        if text.chars().count() > 255 || !plain(alive) || !plain(host) {
            return Err(bad());
        }
        Ok(Self(text.into()))
    }

    /// Reads the name as it came from a peer.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, BadName> {
        let lossy = || BadName(String::from_utf8_lossy(bytes).chars().take(64).collect());
        if bytes.len() > MAX_NAME {
            return Err(lossy());
        }
        Self::new(std::str::from_utf8(bytes).map_err(|_| lossy())?)
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`: what EPMD knows.
    pub fn alive(&self) -> &str {
        self.0.split_once('@').map_or("", |(alive, _)| alive)
    }

    /// The part after the `@`.
    pub fn host(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, host)| host)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_two_parts() {
        let name = NodeName::new("proxy@127.0.0.1").unwrap();
        assert_eq!((name.alive(), name.host()), ("proxy", "127.0.0.1"));
        for bad in ["", "proxy", "@host", "proxy@", "a@b@c", "a b@c", "a@b\n"] {
            assert_eq!(NodeName::new(bad), Err(BadName(bad.to_owned())));
        }
        assert!(NodeName::new(&format!("{}@h", "x".repeat(254))).is_err());
    }
}
