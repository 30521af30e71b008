//! `[auth]`, `[admin]`, `[log]`, `[cache]`: what surrounds the routing.

use super::units::Duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760).
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Auth {
    /// The file of users. Without it nobody can authenticate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) users: Option<PathBuf>,
    /// The realm of users that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) realm: Option<String>,
    /// How long a nonce is good; an older one is challenged again as stale.
    pub(crate) nonce_lifetime: Duration,
    /// What is offered, the preferred one first.
    pub(crate) algorithms: Vec<Algorithm>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            users: None,
            realm: None,
            nonce_lifetime: Duration::secs(300),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
        }
    }
}

/// A hash of RFC 7616.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
pub(crate) enum Algorithm {
    /// What every phone knows.
    #[serde(rename = "MD5")]
    Md5,
    /// RFC 8760.
    #[serde(rename = "SHA-256")]
    Sha256,
    /// MD5 over a session's nonces too.
    #[serde(rename = "MD5-sess")]
    Md5Sess,
    /// SHA-256 over a session's nonces too.
    #[serde(rename = "SHA-256-sess")]
    Sha256Sess,
}

/// The admin socket.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Admin {
    /// `unix:PATH`, or `off`. Without it a path of the user that runs the daemon; `switchhook run` prints it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<AdminListen>,
    /// Who may connect, as the socket's file mode in octal.
    pub(crate) mode: Mode,
    /// Connections at once; a further one is told so and closed.
    pub(crate) max_connections: u16,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: None,
            mode: Mode(0o600),
            max_connections: 32,
        }
    }
}

/// Where commands come in.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub(crate) enum AdminListen {
    /// A socket in the file system.
    Unix(PathBuf),
    /// Nowhere.
    Off,
}

impl<'de> Deserialize<'de> for AdminListen {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Self::Unix(path.into())),
            _ if text == "off" => Ok(Self::Off),
            _ => {
                let expected = "unix:PATH or off";
                Err(serde::de::Error::invalid_value(
                    serde::de::Unexpected::Str(&text),
                    &expected,
                ))
            }
        }
    }
}

impl fmt::Display for AdminListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Off => f.write_str("off"),
        }
    }
}

impl serde::Serialize for AdminListen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A file mode, written in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode(pub(crate) u32);

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o777 => Ok(Self(mode)),
            _ => {
                let expected = "a file mode in octal, such as \"0600\" or \"0660\"";
                Err(serde::de::Error::invalid_value(
                    serde::de::Unexpected::Str(&text),
                    &expected,
                ))
            }
        }
    }
}

impl serde::Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:04o}", self.0))
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A file mode in octal.", "type": "string", "pattern": "^0?[0-7]{3}$" })
    }
}

/// The log.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`; parts may differ: `info,switchhook_net=debug`.
    pub(crate) level: String,
    /// For people or for machines.
    pub(crate) format: Format,
    /// The file to append to; without it the standard error. SIGHUP opens it anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<PathBuf>,
    /// Whether users' names, numbers and addresses may stand in the log.
    pub(crate) pii: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: Format::Text,
            file: None,
            pii: false,
        }
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Compiled scripts, kept from one start to the next.
#[derive(Debug, Clone, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Cache {
    /// The folder, or `off`. Without it one of the user's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dir: Option<PathBuf>,
}
