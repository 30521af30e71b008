//! The text form of terms, as `io:format("~0p", [Term])` prints them, and back.
//!
//! `to_string()` (`{}`) is `~0p`: one line, lists of printable Latin-1 as strings. `{:#}` is `~0tp`: Unicode in strings, atoms and
//! binaries as it is.
//!
//! What Erlang prints for this node's eyes only is written so that it can be read again: `#Pid<'node@host'.id.serial.creation>`,
//! `#Port<'node@host'.id.creation>`, `#Ref<'node@host'.creation.word.word ...>`. `#Fun<module.index.uniq>` can't be. An integer of
//! more than 4096 bytes is printed in base 16, because its decimal digits cost the square of their number.

mod digits;
mod float;
mod lexer;
mod parse;
mod print;

pub use parse::{BadText, parse, parse_with};
pub(crate) use print::print_atom;

/// The longest integer, in bytes, that is printed or read in another base than 16.
const DECIMAL: usize = 4096;

/// Words that are no atoms without quotes.
const RESERVED: [&str; 29] = [
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case",
    "catch", "cond", "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or",
    "orelse", "receive", "rem", "try", "when", "xor",
];

/// Whether an atom stands without quotes: OTP's scanner knows only letters of Latin-1.
fn is_plain(text: &str) -> bool {
    let is_lower = |point| matches!(point, 'a'..='z' | 'ß'..='ö' | 'ø'..='ÿ');
    let goes_on = |point| {
        is_lower(point)
            || matches!(point, 'A'..='Z' | 'À'..='Ö' | 'Ø'..='Þ' | '0'..='9' | '_' | '@')
    };
    let mut points = text.chars();
    points.next().is_some_and(is_lower) && points.all(goes_on) && !RESERVED.contains(&text)
}
