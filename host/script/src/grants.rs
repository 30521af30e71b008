//! The interfaces of the contract that a script may be allowed to use. What is not granted is not linked.

use std::fmt;
use std::str::FromStr;

use crate::error::LoadError;

/// The package of the contract.
pub(crate) const PACKAGE: &str = "switchhook:script";
/// Its version.
pub(crate) const VERSION: &str = "0.1.0";

macro_rules! interfaces {
    ($($(#[$doc:meta])* $id:ident $name:literal;)*) => {
        /// An imported interface of wit/.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Interface {
            $($(#[$doc])* $id,)*
        }

        impl Interface {
            /// Every one, in the order of wit/world.wit.
            pub const ALL: &[Self] = &[$(Self::$id,)*];

            /// As `grants` and wit/ have it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$id => $name,)*
                }
            }
        }
    };
}

interfaces! {
    /// The host's log.
    Log "log";
    /// Variables of the transaction.
    Vars "vars";
    /// The current request.
    Request "request";
    /// The current reply.
    Reply "reply";
    /// Where messages come from and go.
    Transport "transport";
    /// Relays and replies.
    Tm "tm";
    /// Record-Route and Route.
    Rr "rr";
    /// The location service.
    Registrar "registrar";
    /// Digest authentication.
    Auth "auth";
    /// Calls that are tracked.
    Dialog "dialog";
    /// Shared hash tables.
    Htable "htable";
    /// The Erlang node.
    Erlang "erlang";
    /// Commands of the script's own.
    Rpc "rpc";
    /// The DMQ bus.
    Dmq "dmq";
    /// Requests of the script's own.
    Uac "uac";
}

impl Interface {
    /// All names, for a message.
    pub(crate) fn names() -> String {
        let names: Vec<_> = Self::ALL.iter().map(|interface| interface.name()).collect();
        names.join(", ")
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Interface {
    type Err = LoadError;

    fn from_str(name: &str) -> Result<Self, LoadError> {
        let found = Self::ALL.iter().find(|interface| interface.name() == name);
        found
            .copied()
            .ok_or_else(|| LoadError::UnknownGrant { name: name.into() })
    }
}

/// What a script may use; nothing at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grants(u32);

impl Grants {
    /// Everything there is.
    pub fn all() -> Self {
        Interface::ALL.iter().copied().collect()
    }

    /// Reads the names of the config's list.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, LoadError> {
        names.into_iter().map(Interface::from_str).collect()
    }

    /// Whether that one is granted.
    pub const fn has(self, interface: Interface) -> bool {
        self.0 & interface.bit() != 0
    }

    /// Those that are granted, in order.
    pub fn iter(self) -> impl Iterator<Item = Interface> {
        Interface::ALL
            .iter()
            .copied()
            .filter(move |interface| self.has(*interface))
    }
}

impl FromIterator<Interface> for Grants {
    fn from_iter<I: IntoIterator<Item = Interface>>(interfaces: I) -> Self {
        Self(
            interfaces
                .into_iter()
                .fold(0, |bits, interface| bits | interface.bit()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_by_name() {
        let grants = Grants::of(["log", "tm"]).unwrap();
        assert!(
            grants.has(Interface::Log) && grants.has(Interface::Tm) && !grants.has(Interface::Auth)
        );
        assert_eq!(Grants::all().iter().count(), Interface::ALL.len());
        let error = Grants::of(["log", "sql"]).unwrap_err().to_string();
        assert!(
            error.contains("`sql` is no interface") && error.contains("htable"),
            "{error}"
        );
    }
}
