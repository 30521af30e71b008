//! Commands that a script registers in its `init`: for the admin socket and for Erlang.

/// A command of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// `group.command`.
    pub name: String,
    /// For a person.
    pub doc: String,
}

/// A refused command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A status as SIP's: 400, 404, 500.
    pub code: u16,
    /// For a person.
    pub message: String,
}

/// A command that is called, and its answer.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The command's name.
    pub name: String,
    /// A JSON array or object.
    pub params: String,
    /// What the route gave: a JSON value. The engine takes it out; none where the route failed.
    pub answer: Option<Result<String, Fault>>,
}

/// The most commands of a script.
pub(crate) const MAX: usize = 256;
/// The longest documentation, in bytes.
pub(crate) const MAX_DOC: usize = 4096;

/// Whether a name is `group.command` of letters, digits and `_`.
pub(crate) fn is_name(name: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word
                .chars()
                .all(|point| point.is_ascii_alphanumeric() || point == '_')
    };
    name.len() <= 128
        && name
            .split_once('.')
            .is_some_and(|(group, command)| is_word(group) && is_word(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_group_and_a_command() {
        assert!(is_name("dispatcher.list") && is_name("a.b_2"));
        for wrong in ["list", "a.", ".b", "a.b.c", "1a.b", "a b.c", "a.b-c", ""] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
