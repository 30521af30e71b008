//! A guest's text as one line of the log: not longer than is useful, and without the line ends and escape sequences by which it
//! could pass for other lines.

use std::borrow::Cow;
use std::fmt::Write;

/// What is longer is cut.
pub(crate) const MAX: usize = 4096;

/// Cuts and escapes.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    let mut end = text.len().min(MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    let bad = |c: char| c.is_control() && c != '\t';
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if bad(c) {
            // Writing to a String does not fail.
            let _ = write!(escaped, "{}", c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_stays_one_line() {
        assert!(matches!(
            line("caf\u{e9}\tau lait"),
            Cow::Borrowed("caf\u{e9}\tau lait")
        ));
        assert_eq!(
            line("a\r\n2026-01-01 ERROR b\u{1b}[2J\u{9b}"),
            "a\\r\\n2026-01-01 ERROR b\\u{1b}[2J\\u{9b}"
        );
        assert_eq!(line(&"\u{20ac}".repeat(2000)).len(), 4095);
    }
}
