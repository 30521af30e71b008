//! `[[htable]]`, `[[location]]`, `[registrar]` and `[dialog]`: what outlives an event.

use super::units::{Duration, Size};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A hash table that all scripts share.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Htable {
    /// What scripts and commands call it.
    pub(crate) name: String,
    /// How long an item lives that was set without a life of its own; "0s" for ever.
    #[serde(default)]
    pub(crate) expire: Forever,
    /// Items at once; a further one is refused.
    #[serde(default = "max_items")]
    pub(crate) max_items: u32,
    /// Bytes of keys and values together; beyond, an item is refused.
    #[serde(default = "max_bytes")]
    pub(crate) max_bytes: Size,
    /// What is in it at the start: whole numbers and strings.
    #[serde(default)]
    pub(crate) initial: BTreeMap<String, Initial>,
}

fn max_items() -> u32 {
    100_000
}

fn max_bytes() -> Size {
    Size::mib(64)
}

/// A duration whose default is "0s", no end.
#[derive(Debug, Clone, Copy, Deserialize, serde::Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Forever(pub(crate) Duration);

impl Default for Forever {
    fn default() -> Self {
        Self(Duration::secs(0))
    }
}

/// A value at the start.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Initial {
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl<'de> Deserialize<'de> for Initial {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl serde::de::Visitor<'_> for Value {
            type Value = Initial;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number or a string")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Initial, E> {
                Ok(Initial::Integer(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Initial, E> {
                Ok(Initial::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

/// A table of registered contacts.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Location {
    /// What `registrar.save` and `registrar.lookup` call it.
    pub(crate) name: String,
    /// Contacts at once, of all users; a further one is refused with 503.
    #[serde(default = "max_contacts")]
    pub(crate) max_contacts: u32,
}

fn max_contacts() -> u32 {
    1_000_000
}

impl Default for Location {
    fn default() -> Self {
        Self {
            name: "location".to_owned(),
            max_contacts: max_contacts(),
        }
    }
}

/// RFC 3261 section 10.3.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Registrar {
    /// The life of a contact that asks for none.
    pub(crate) default_expires: Duration,
    /// A shorter one is refused with 423.
    pub(crate) min_expires: Duration,
    /// A longer one is shortened.
    pub(crate) max_expires: Duration,
    /// Contacts of one address of record.
    pub(crate) max_contacts: u16,
}

impl Default for Registrar {
    fn default() -> Self {
        Self {
            default_expires: Duration::secs(3600),
            min_expires: Duration::secs(60),
            max_expires: Duration::secs(86_400),
            max_contacts: 10,
        }
    }
}

/// Calls that scripts track with `dialog.manage`.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Dialog {
    /// Calls at once; a further one goes on untracked. Each takes up to 2 kB.
    pub(crate) max: u32,
    /// How long a call may last, unless the script says otherwise.
    pub(crate) lifetime: Duration,
    /// How long a call may ring before it is given up as failed.
    pub(crate) ringing: Duration,
    /// Whether both sides of a call whose time is over are sent a BYE, unless the script says otherwise.
    pub(crate) bye_on_timeout: bool,
    /// Entries that names of dialogs are spread over, a power of two: `hash_size` of all nodes that share dialogs.
    pub(crate) entries: u32,
}

impl Default for Dialog {
    fn default() -> Self {
        Self {
            max: 100_000,
            lifetime: Duration::secs(12 * 3600),
            ringing: Duration::secs(300),
            bye_on_timeout: false,
            entries: 4096,
        }
    }
}
