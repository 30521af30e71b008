//! What a dialog is called and how far it has come (RFC 3261 section 12), as a proxy sees it and as Kamailio's nodes tell each other.
//!
//! A dialog that is tracked has an [`Id`] of two numbers: a hash of its Call-ID ([`entry_of`]), and a number that tells it from others
//! of that hash. The Id stands in our Record-Route ([`route_param`]), so that requests within the dialog name it. Where dialogs are
//! kept is `store`'s; nothing here knows time.

/// How many entries a table of dialogs has, unless told otherwise. Nodes that share dialogs must agree on it.
pub const ENTRIES: u32 = 4096;
/// The parameter of our Record-Route that names the dialog.
pub const PARAM: &str = "did";

/// A dialog's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The hash of its Call-ID.
    pub entry: u32,
    /// Its number among those of that hash.
    pub number: u32,
}

/// How far a call has come. A call never goes back; the order is that of the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// INVITE sent, nothing heard: 1.
    Unconfirmed,
    /// A provisional answer has come: 2.
    Early,
    /// 200, but no ACK yet: 3.
    ConfirmedUnacked,
    /// ACK seen: 4.
    Confirmed,
    /// It has ended: 5.
    Deleted,
}

impl State {
    /// Kamailio's number of it.
    pub const fn number(self) -> u8 {
        match self {
            Self::Unconfirmed => 1,
            Self::Early => 2,
            Self::ConfirmedUnacked => 3,
            Self::Confirmed => 4,
            Self::Deleted => 5,
        }
    }

    /// The state of a number of 1 to 5.
    pub const fn of(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Unconfirmed,
            2 => Self::Early,
            3 => Self::ConfirmedUnacked,
            4 => Self::Confirmed,
            5 => Self::Deleted,
            _ => return None,
        })
    }

    /// Whether the call was answered and goes on.
    pub const fn is_confirmed(self) -> bool {
        matches!(self, Self::ConfirmedUnacked | Self::Confirmed)
    }
}

/// The entry of a Call-ID among so many, a power of two: the words of four bytes, each mixed with itself, summed and folded.
pub fn entry_of(call_id: &[u8], entries: u32) -> u32 {
    let words = call_id.chunks(4).map(|word| {
        let word = match <[u8; 4]>::try_from(word) {
            Ok(whole) => u32::from_be_bytes(whole),
            Err(_) => word.iter().fold(0u32, |word, b| word << 8 | u32::from(*b)),
        };
        word ^ (word >> 3)
    });
    let sum = words.fold(0u32, u32::wrapping_add);
    let folded = [11, 13, 23].map(|shift| sum >> shift);
    folded.into_iter().fold(sum, u32::wrapping_add) & entries.wrapping_sub(1)
}

/// How a dialog is named in a Record-Route: each number in hexadecimal, its digits in reverse, with a full stop between.
pub fn route_param(id: Id) -> String {
    let reversed = |number: u32| format!("{number:x}").chars().rev().collect::<String>();
    format!("{}.{}", reversed(id.entry), reversed(id.number))
}

/// Reads what [`route_param`] writes.
pub fn read_route_param(text: &str) -> Option<Id> {
    let (entry, number) = text.split_once('.')?;
    let number_of = |text: &str| {
        let digits: String = text.chars().rev().collect();
        let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
        plain
            .then(|| u32::from_str_radix(&digits, 16).ok())
            .flatten()
    };
    Some(Id {
        entry: number_of(entry)?,
        number: number_of(number)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_real_nodes() {
        for (call_id, entry) in [
            ("1-22187@127.0.0.20", 3213),
            ("1-22185@127.0.0.20", 3789),
            ("1-22198@127.0.0.20", 2562),
            ("2-22198@127.0.0.20", 253),
        ] {
            assert_eq!(entry_of(call_id.as_bytes(), ENTRIES), entry, "{call_id}");
        }
        let id = Id {
            entry: 0x3213,
            number: 0x1_0a,
        };
        assert_eq!(route_param(id), "3123.a01");
        assert_eq!(read_route_param("3123.a01"), Some(id));
        for bad in ["", "1", "1.", "1.x", "1.+2", "fffffffff.1"] {
            assert_eq!(read_route_param(bad), None, "{bad}");
        }
    }

    #[test]
    fn states_have_their_numbers() {
        for number in 1..=5 {
            assert_eq!(State::of(number).map(State::number), Some(number));
        }
        assert_eq!((State::of(0), State::of(6)), (None, None));
    }
}
