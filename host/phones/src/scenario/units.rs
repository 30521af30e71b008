//! Lengths of time as people write them.

use std::time::Duration;

/// Reads `10s`, `500ms`, `2m`, and a bare number as seconds; the error says what was expected.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number and `ms`, `s` or `m`, such as `500ms` or `10s`".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1000.0,
        "s" | "" => number,
        "m" | "min" => number * 60.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, millis) in [
            ("10", 10_000),
            ("1.5s", 1500),
            ("500ms", 500),
            ("2m", 120_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "-1s", "10h", "ten"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
