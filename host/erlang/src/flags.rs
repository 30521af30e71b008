//! What a node can do, as it says in the handshake (erl_dist_protocol, "Distribution Flags").

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// A set of capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u64);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:expr;)*) => {
        impl Flags {
            $($(#[$doc])* pub const $name: Flags = Flags(1 << $bit);)*
        }
        const NAMES: &[(Flags, &str)] = &[$((Flags::$name, stringify!($name)),)*];
    };
}

flags! {
    /// The node is to be listed in `nodes()`; one without it is hidden.
    PUBLISHED = 0;
    /// References of more than one word.
    EXTENDED_REFERENCES = 2;
    /// Monitors of processes.
    DIST_MONITOR = 3;
    /// Funs.
    FUN_TAGS = 4;
    /// Monitors of registered names.
    DIST_MONITOR_NAME = 5;
    /// Funs with a module's checksum.
    NEW_FUN_TAGS = 7;
    /// Pids and ports of 15 and 28 bits.
    EXTENDED_PIDS_PORTS = 8;
    /// `fun M:F/A`.
    EXPORT_PTR_TAG = 9;
    /// Bitstrings.
    BIT_BINARIES = 10;
    /// Floats of 8 bytes.
    NEW_FLOATS = 11;
    /// Characters above 255 in input and output requests.
    UNICODE_IO = 12;
    /// The distribution header with its atom cache.
    DIST_HDR_ATOM_CACHE = 13;
    /// Atoms with a length of one byte.
    SMALL_ATOM_TAGS = 14;
    /// Atoms in UTF-8.
    UTF8_ATOMS = 16;
    /// Maps.
    MAP_TAG = 17;
    /// Creations of 32 bits.
    BIG_CREATION = 18;
    /// Messages that name their sender.
    SEND_SENDER = 19;
    /// Any term as a trace label.
    BIG_SEQTRACE_LABELS = 20;
    /// Reasons of exits and downs as a payload of their own.
    EXIT_PAYLOAD = 22;
    /// Messages in fragments.
    FRAGMENTS = 23;
    /// The handshake of OTP 23.
    HANDSHAKE_23 = 24;
    /// Unlinking with an id that is acknowledged.
    UNLINK_ID = 25;
    /// All that OTP 25 made mandatory, in one bit. Bit 26: documents that say 36 are wrong.
    MANDATORY_25_DIGEST = 26;
    /// Spawn requests.
    SPAWN = 32;
    /// The peer wants a name from us.
    NAME_ME = 33;
    /// Pids and ports of 64 bits, references of five words.
    V4_NC = 34;
    /// Process aliases.
    ALIAS = 35;
    /// Messages and exits in one form, also to aliases and with priority (OTP 28).
    ALTACT_SIG = 37;
}

impl Flags {
    /// What [`Flags::MANDATORY_25_DIGEST`] stands for.
    pub const MANDATORY_25: Flags = Flags(
        Flags::EXTENDED_REFERENCES.0
            | Flags::FUN_TAGS.0
            | Flags::NEW_FUN_TAGS.0
            | Flags::EXTENDED_PIDS_PORTS.0
            | Flags::EXPORT_PTR_TAG.0
            | Flags::BIT_BINARIES.0
            | Flags::NEW_FLOATS.0
            | Flags::UTF8_ATOMS.0
            | Flags::MAP_TAG.0
            | Flags::BIG_CREATION.0
            | Flags::HANDSHAKE_23.0,
    );

    /// What we offer: a hidden node that can do all that OTP 23 to 28 ask for.
    pub const OURS: Flags = Flags(
        Flags::MANDATORY_25.0
            | Flags::MANDATORY_25_DIGEST.0
            | Flags::DIST_MONITOR.0
            | Flags::DIST_MONITOR_NAME.0
            | Flags::UNICODE_IO.0
            | Flags::DIST_HDR_ATOM_CACHE.0
            | Flags::SMALL_ATOM_TAGS.0
            | Flags::SEND_SENDER.0
            | Flags::BIG_SEQTRACE_LABELS.0
            | Flags::EXIT_PAYLOAD.0
            | Flags::FRAGMENTS.0
            | Flags::UNLINK_ID.0
            | Flags::SPAWN.0
            | Flags::V4_NC.0
            | Flags::ALIAS.0
            | Flags::ALTACT_SIG.0,
    );

    /// Whether all of `others` are in here.
    pub const fn has(self, others: Flags) -> bool {
        self.0 & others.0 == others.0
    }

    /// The flags with what the digest stands for written out.
    pub fn expanded(self) -> Flags {
        if self.has(Self::MANDATORY_25_DIGEST) {
            self | Self::MANDATORY_25
        } else {
            self
        }
    }

    /// What both sides can do, or what the peer lacks that we cannot do without.
    pub(crate) fn agree(self, peer: Flags) -> Result<Flags, Flags> {
        let peer = peer.expanded();
        let missing = Flags(Self::MANDATORY_25.0 & !peer.0);
        if missing.0 == 0 {
            Ok(self & peer)
        } else {
            Err(missing)
        }
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitAnd for Flags {
    type Output = Flags;
    fn bitand(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (_, name) in NAMES.iter().filter(|(flag, _)| self.has(*flag)) {
            if !first {
                f.write_str(" ")?;
            }
            first = false;
            f.write_str(name)?;
        }
        if first {
            write!(f, "{:#x}", self.0)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_that_otp_25_was_seen_to_take() {
        assert_eq!(Flags::MANDATORY_25_DIGEST.0, 0x0400_0000);
        // What OTP 25.2.3 sent in its challenge.
        let otp = Flags(0x0d_07df_7fbd);
        assert!(otp.has(Flags::SPAWN | Flags::V4_NC | Flags::ALIAS | Flags::FRAGMENTS));
        assert!(otp.has(Flags::PUBLISHED) && !otp.has(Flags::NAME_ME));
    }

    #[test]
    fn the_digest_stands_for_the_mandatory_flags() {
        let agreed = Flags::OURS.agree(Flags::MANDATORY_25_DIGEST).unwrap();
        assert_eq!(agreed, Flags::MANDATORY_25 | Flags::MANDATORY_25_DIGEST);
        let missing = Flags::OURS
            .agree(Flags(Flags::MANDATORY_25.0 & !Flags::MAP_TAG.0))
            .unwrap_err();
        assert_eq!(missing.to_string(), "MAP_TAG");
    }
}
