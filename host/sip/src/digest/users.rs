//! Whose passwords we know: hashes by realm, name and hash function.
//!
//! [`UserTable`] keeps no password, only H(name:realm:password) for each function. It is filled once and then read.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::hash::{Hash, Output, ha1};

/// H(name:realm:password), RFC 7616 3.4.2.
pub type Ha1 = Output;

/// Where hashes of passwords come from.
pub trait Users {
    /// The hash of a user's password, or `None` for one that is not there or has no hash of that kind. It should take the same
    /// time in both cases.
    fn ha1(&self, realm: &[u8], name: &[u8], hash: Hash) -> Option<Ha1>;
}

/// A hash in a config that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits, got {came} bytes")]
pub struct BadHash {
    expected: usize,
    came: usize,
}

/// Users in memory.
#[derive(Debug, Default)]
pub struct UserTable {
    users: HashMap<Box<[u8]>, Hashes, ahash::RandomState>,
}

#[derive(Debug, Default)]
struct Hashes {
    md5: Option<Ha1>,
    sha256: Option<Ha1>,
}

impl UserTable {
    /// Adds a user by password, or replaces it.
    pub fn insert_password(&mut self, name: &str, realm: &str, password: &str) {
        let hash = |hash| {
            Some(ha1(
                hash,
                name.as_bytes(),
                realm.as_bytes(),
                password.as_bytes(),
            ))
        };
        let hashes = Hashes {
            md5: hash(Hash::Md5),
            sha256: hash(Hash::Sha256),
        };
        self.users
            .insert(key(realm.as_bytes(), name.as_bytes())[..].into(), hashes);
    }

    /// Adds or replaces one hash of a user, in hexadecimal digits; the user's other hash stays.
    pub fn insert_hash(
        &mut self,
        name: &str,
        realm: &str,
        hash: Hash,
        digits: &str,
    ) -> Result<(), BadHash> {
        let ha1 = Output::from_hex(hash, digits.as_bytes()).ok_or(BadHash {
            expected: hash.len() * 2,
            came: digits.len(),
        })?;
        let hashes = self
            .users
            .entry(key(realm.as_bytes(), name.as_bytes())[..].into())
            .or_default();
        match hash {
            Hash::Md5 => hashes.md5 = Some(ha1),
            Hash::Sha256 => hashes.sha256 = Some(ha1),
        }
        Ok(())
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

impl Users for UserTable {
    fn ha1(&self, realm: &[u8], name: &[u8], hash: Hash) -> Option<Ha1> {
        let hashes = self.users.get(&key(realm, name)[..])?;
        match hash {
            Hash::Md5 => hashes.md5,
            Hash::Sha256 => hashes.sha256,
        }
    }
}

/// Length first, so that no other realm and name give the same key.
fn key(realm: &[u8], name: &[u8]) -> SmallVec<[u8; 128]> {
    let mut key = SmallVec::new();
    for part in [&(realm.len() as u64).to_le_bytes()[..], realm, name] {
        key.extend_from_slice(part);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_one_of_a_realm() {
        let mut users = UserTable::default();
        users.insert_password("alice", "one.test", "x");
        assert!(users.ha1(b"one.test", b"alice", Hash::Sha256).is_some());
        assert!(users.ha1(b"two.test", b"alice", Hash::Sha256).is_none());
        assert!(users.ha1(b"one.testa", b"lice", Hash::Sha256).is_none());
    }

    #[test]
    fn stored_hashes_are_as_good_as_the_password() {
        let mut by_password = UserTable::default();
        by_password.insert_password("Mufasa", "testrealm@host.com", "Circle Of Life");
        let mut by_hash = UserTable::default();
        by_hash
            .insert_hash(
                "Mufasa",
                "testrealm@host.com",
                Hash::Md5,
                "939e7578ed9e3c518a452acee763bce9",
            )
            .unwrap();
        let of = |users: &UserTable, hash| {
            users
                .ha1(b"testrealm@host.com", b"Mufasa", hash)
                .map(|ha1| ha1.to_string())
        };
        assert_eq!(of(&by_password, Hash::Md5), of(&by_hash, Hash::Md5));
        assert_eq!(of(&by_hash, Hash::Sha256), None);
        let bad = by_hash.insert_hash("a", "r", Hash::Sha256, "00");
        assert_eq!(
            bad.unwrap_err().to_string(),
            "expected 64 hexadecimal digits, got 2 bytes"
        );
    }
}
