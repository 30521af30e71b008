//! The users file: who may authenticate.
//!
//! Each `[[user]]` has a name and either a password or hashes `H(name:realm:password)` (RFC 7616 section 3.4.2), so that the file need
//! hold no password. Errors that go to a log name the line and never quote it.

use super::document::Document;
use super::problem::{Problem, Problems};
use super::{de, sources};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// One user.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) realm: String,
    pub(crate) secret: Secret,
}

/// What a user's credentials are checked against.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Password(String),
    /// In hexadecimal digits.
    Hashes {
        md5: Option<String>,
        sha256: Option<String>,
    },
}

impl std::fmt::Debug for User {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    user: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    name: String,
    #[serde(alias = "domain")]
    realm: Option<String>,
    password: Option<String>,
    #[serde(rename = "ha1-md5")]
    ha1_md5: Option<String>,
    #[serde(rename = "ha1-sha-256")]
    ha1_sha256: Option<String>,
}

/// Reads a users file; `realm` is that of users who name none.
pub(crate) fn parse(name: &str, text: &str, realm: Option<&str>) -> Result<Vec<User>, Problems> {
    let document = Document::parse(name, text)?;
    let file: File =
        de::read(&document.root).map_err(|problem| Problems::one(sources(name, text), problem))?;
    let mut found = Vec::new();
    let mut users = Vec::with_capacity(file.user.len());
    let mut seen: HashMap<(String, String), usize> = HashMap::with_capacity(file.user.len());
    for (index, entry) in file.user.into_iter().enumerate() {
        match user(&document, index, entry, realm) {
            Ok(user) => {
                let at = |index: usize| document.place(&["user", &index.to_string(), "name"]);
                if let Some(earlier) = seen.insert((user.name.clone(), user.realm.clone()), index) {
                    let problem = Problem::new(format!(
                        "the user `{}` of `{}` is given twice",
                        user.name, user.realm
                    ));
                    found.push(
                        problem
                            .maybe_at(at(index), "the second time")
                            .also(at(earlier), "the first time"),
                    );
                }
                users.push(user);
            }
            Err(problem) => found.push(problem),
        }
    }
    if found.is_empty() {
        Ok(users)
    } else {
        Err(Problems {
            sources: document.sources,
            list: found,
        })
    }
}

fn user(
    document: &Document,
    index: usize,
    entry: Entry,
    realm: Option<&str>,
) -> Result<User, Problem> {
    let at = index.to_string();
    let wrong = |key: &str, title: &str, label: &str| {
        Problem::new(title).maybe_at(document.place(&["user", &at, key]), label)
    };
    if entry.name.is_empty()
        || entry.name.contains(['"', ':'])
        || entry.name.chars().any(char::is_control)
    {
        return Err(wrong(
            "name",
            "this name can't be used",
            "expected a text without quotes, colons and control characters",
        ));
    }
    let Some(realm) = entry.realm.as_deref().or(realm) else {
        return Err(wrong(
            "name",
            "a user without a realm",
            "expected a `realm`, here or as `realm` of [auth]",
        ));
    };
    let md5 = entry.ha1_md5.map(|hex| {
        digits(hex, 32).map_err(|label| wrong("ha1-md5", "this is not an MD5 hash", &label))
    });
    let sha256 = entry.ha1_sha256.map(|hex| {
        digits(hex, 64).map_err(|label| wrong("ha1-sha-256", "this is not a SHA-256 hash", &label))
    });
    let secret = match (entry.password, md5.transpose()?, sha256.transpose()?) {
        (Some(password), None, None) => Secret::Password(password),
        (None, None, None) => {
            return Err(wrong(
                "name",
                "a user without a secret",
                "expected a `password`, or `ha1-md5`, `ha1-sha-256` or both",
            ));
        }
        (None, md5, sha256) => Secret::Hashes { md5, sha256 },
        (Some(_), ..) => {
            return Err(wrong(
                "password",
                "a password and a hash",
                "expected one of them: a password is enough for every algorithm",
            ));
        }
    };
    Ok(User {
        name: entry.name,
        realm: realm.to_owned(),
        secret,
    })
}

fn digits(hex: String, count: usize) -> Result<String, String> {
    let found = hex.chars().count();
    match hex.chars().all(|c| c.is_ascii_hexdigit()) {
        _ if found != count => Err(format!(
            "expected {count} hexadecimal digits, found {found} characters"
        )),
        false => Err(format!(
            "expected {count} hexadecimal digits, found another character"
        )),
        true => Ok(hex),
    }
}

/// A warning where others than the owner can read passwords.
pub(crate) fn exposed(path: &Path, users: &[User]) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let passwords = users
        .iter()
        .any(|user| matches!(user.secret, Secret::Password(_)));
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (passwords && mode & 0o044 != 0).then(|| {
        format!("{} can be read by others (mode {mode:04o}) and holds passwords: chmod 600 it, or keep hashes", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_hashes_are_read() {
        let text = "
            [[user]]
            name = 'alice'
            password = 'wonder'
            [[user]]
            name = 'bob'
            domain = 'b.test'
            ha1-md5 = '00112233445566778899aabbccddeeFF'
        ";
        let users = parse("users.toml", text, Some("a.test")).unwrap();
        assert_eq!(
            users[0],
            User {
                name: "alice".into(),
                realm: "a.test".into(),
                secret: Secret::Password("wonder".into())
            }
        );
        assert_eq!(users[1].realm, "b.test");
        let Secret::Hashes {
            md5: Some(md5),
            sha256: None,
        } = &users[1].secret
        else {
            panic!("{:?}", users[1])
        };
        assert_eq!(md5, "00112233445566778899aabbccddeeFF");
    }

    #[test]
    fn every_bad_user_is_named_by_its_line_without_its_secret() {
        let text = "[[user]]\nname = 'alice'\npassword = 'geheim'\n[[user]]\nname = 'alice'\npassword = 'geheim'\n\
                    [[user]]\nname = 'bob'\n[[user]]\nname = 'carol'\nha1-md5 = 'geheim'\n";
        let problems = parse("users.toml", text, Some("a.test")).unwrap_err();
        let line = problems.to_string();
        for expected in [
            "users.toml:5: the user `alice`",
            "users.toml:8: a user without a secret",
            "users.toml:11: this is not an MD5",
        ] {
            assert!(line.contains(expected), "{line}");
        }
        assert!(!line.contains("geheim"), "{line}");
    }

    #[test]
    fn a_realm_is_needed() {
        let error = parse("users.toml", "[[user]]\nname='a'\npassword='b'", None).unwrap_err();
        assert!(error.to_string().contains("without a realm"), "{error}");
    }
}
