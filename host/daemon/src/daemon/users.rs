//! The users that every lane asks for, exchangeable while it runs.

use crate::config::users::{Secret, User};
use std::sync::{Arc, PoisonError, RwLock};
use switchhook_sip::digest::{Ha1, Hash, UserTable, Users};

/// A table behind a pointer. A reader holds the lock for one look-up; a reload exchanges the pointer.
pub(super) struct SharedUsers(RwLock<UserTable>);

impl SharedUsers {
    pub(super) fn new(users: &[User]) -> Arc<Self> {
        Arc::new(Self(RwLock::new(table(users))))
    }

    pub(super) fn replace(&self, users: &[User]) {
        let table = table(users);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = table;
    }
}

/// What the services hold.
pub(super) struct Face(pub(super) Arc<SharedUsers>);

impl Users for Face {
    fn ha1(&self, realm: &[u8], name: &[u8], hash: Hash) -> Option<Ha1> {
        self.0
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .ha1(realm, name, hash)
    }
}

fn table(users: &[User]) -> UserTable {
    let mut table = UserTable::default();
    for user in users {
        match &user.secret {
            Secret::Password(password) => table.insert_password(&user.name, &user.realm, password),
            Secret::Hashes { md5, sha256 } => {
                for (hash, hex) in [(Hash::Md5, md5), (Hash::Sha256, sha256)] {
                    // The digits were counted when the file was read.
                    if let Some(hex) = hex
                        && let Err(error) = table.insert_hash(&user.name, &user.realm, hash, hex)
                    {
                        tracing::warn!(user = user.name, realm = user.realm, %error, "a user's hash is not used");
                    }
                }
            }
        }
    }
    table
}
