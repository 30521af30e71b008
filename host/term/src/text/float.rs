//! Floats as Erlang prints them: the shortest digits that read back as the same float, placed as `float_to_list(F, [short])` does.

use std::fmt::{self, Write};

/// From here on integers are no longer exact, and Erlang shows an exponent.
const EXACT: f64 = 9_007_199_254_740_992.0;

pub(super) fn print(float: f64, f: &mut impl Write) -> fmt::Result {
    if !float.is_finite() {
        // no Erlang float; a program can hold one all the same
        return write!(f, "{float}");
    }
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    f.write_str(sign)?;
    place(&digits, exponent.saturating_add(1), float.abs() >= EXACT, f)
}

/// `0.DIGITS * 10^place`, in the shorter of both forms.
fn place(digits: &str, place: i32, inexact: bool, f: &mut impl Write) -> fmt::Result {
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    if 0 < place && place < count && !inexact {
        let (whole, part) = digits
            .split_at_checked(usize::try_from(place).unwrap_or(0))
            .unwrap_or((digits, ""));
        return write!(f, "{whole}.{part}");
    }
    let exponent = (place - 1).to_string();
    let dot = if count == 1 { 2 } else { 1 };
    let cost = i32::try_from(exponent.len()).unwrap_or(0) + 1 + dot;
    if place <= 0 && 2 - place <= cost {
        return write!(f, "0.{}{digits}", zeros(-place));
    }
    if place > 0 && place - count + 2 <= cost && !inexact {
        return write!(f, "{digits}{}.0", zeros(place - count));
    }
    let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
    let rest = if rest.is_empty() { "0" } else { rest };
    write!(f, "{first}.{rest}e{exponent}")
}

#[cfg(test)]
mod tests {
    fn printed(float: f64) -> String {
        let mut text = String::new();
        super::print(float, &mut text).unwrap();
        text
    }

    /// What OTP 25 prints.
    #[test]
    fn floats_look_as_in_erlang() {
        for (float, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.013, "0.013"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.0001, "0.0001"),
            (0.000_01, "1.0e-5"),
            (1.0e4, "1.0e4"),
            (0.00012, "1.2e-4"),
            (123_456.789, "123456.789"),
            (1.0e5, "1.0e5"),
            (1.0e3, "1.0e3"),
            (100.0, "100.0"),
            (120_000.0, "1.2e5"),
            (123_000.0, "1.23e5"),
            (-2.5, "-2.5"),
            (1.0e22, "1.0e22"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e308"),
            (5.0e-324, "5.0e-324"),
            (9_007_199_254_740_991.0, "9007199254740991.0"),
            (9_007_199_254_740_993.0, "9.007199254740992e15"),
        ] {
            assert_eq!(printed(float), text);
        }
    }
}
