//! Terms to text.

use std::fmt::{self, Display, Formatter, Write};

use super::{DECIMAL, digits, float, is_plain};
use crate::{Bits, Term};

/// `~0p`; `{:#}` is `~0tp`.
impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Term::Int(number) => write!(f, "{number}"),
            Term::Big(number) => {
                if number.is_negative() {
                    f.write_char('-')?;
                }
                if number.magnitude().len() > DECIMAL {
                    write!(f, "16#{}", digits::hexadecimal(number.magnitude()))
                } else {
                    f.write_str(&digits::decimal(number.magnitude()))
                }
            }
            Term::Float(number) => float::print(*number, f),
            Term::Atom(atom) => Display::fmt(atom, f),
            Term::Tuple(parts) => {
                f.write_char('{')?;
                separated(parts, f)?;
                f.write_char('}')
            }
            Term::List(items) => list(items, f),
            Term::String(bytes) => string(bytes, f),
            Term::Improper(list) => {
                f.write_char('[')?;
                separated(list.items(), f)?;
                f.write_char('|')?;
                list.tail().fmt(f)?;
                f.write_char(']')
            }
            Term::Map(map) => {
                f.write_str("#{")?;
                for (index, (key, value)) in map.pairs().iter().enumerate() {
                    comma(index, f)?;
                    key.fmt(f)?;
                    f.write_str(" => ")?;
                    value.fmt(f)?;
                }
                f.write_char('}')
            }
            Term::Binary(bytes) => binary(bytes, f),
            Term::Bits(bits) => print_bits(bits, f),
            Term::Pid(pid) => {
                f.write_str("#Pid<")?;
                pid.node.fmt(f)?;
                write!(f, ".{}.{}.{}>", pid.id, pid.serial, pid.creation)
            }
            Term::Port(port) => {
                f.write_str("#Port<")?;
                port.node.fmt(f)?;
                write!(f, ".{}.{}>", port.id, port.creation)
            }
            Term::Reference(reference) => {
                f.write_str("#Ref<")?;
                reference.node.fmt(f)?;
                write!(f, ".{}", reference.creation)?;
                for word in &reference.ids {
                    write!(f, ".{word}")?;
                }
                f.write_char('>')
            }
            Term::Fun(fun) => {
                f.write_str("#Fun<")?;
                fun.module.fmt(f)?;
                write!(f, ".{}.{}>", fun.index, fun.old_uniq)
            }
            Term::Export(export) => {
                f.write_str("fun ")?;
                export.module.fmt(f)?;
                f.write_char(':')?;
                export.function.fmt(f)?;
                write!(f, "/{}", export.arity)
            }
        }
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

fn separated(terms: &[Term], f: &mut Formatter<'_>) -> fmt::Result {
    for (index, term) in terms.iter().enumerate() {
        comma(index, f)?;
        term.fmt(f)?;
    }
    Ok(())
}

fn comma(index: usize, f: &mut Formatter<'_>) -> fmt::Result {
    if index > 0 { f.write_char(',') } else { Ok(()) }
}

/// A list: as a string where all of it can be printed.
fn list(items: &[Term], f: &mut Formatter<'_>) -> fmt::Result {
    let unicode = f.alternate();
    let point = |item: &Term| {
        let point = char::from_u32(u32::try_from(item.as_int()?).ok()?)?;
        is_printable(point, unicode).then_some(point)
    };
    if !items.is_empty() && items.iter().all(|item| point(item).is_some()) {
        return quoted(items.iter().filter_map(point), '"', f);
    }
    f.write_char('[')?;
    separated(items, f)?;
    f.write_char(']')
}

fn string(bytes: &[u8], f: &mut Formatter<'_>) -> fmt::Result {
    let mut points = bytes.iter().map(|byte| char::from(*byte));
    if !bytes.is_empty() && points.all(|point| is_printable(point, false)) {
        return quoted(bytes.iter().map(|byte| char::from(*byte)), '"', f);
    }
    f.write_char('[')?;
    numbers(bytes, f)?;
    f.write_char(']')
}

fn numbers(bytes: &[u8], f: &mut Formatter<'_>) -> fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        comma(index, f)?;
        write!(f, "{byte}")?;
    }
    Ok(())
}

fn binary(bytes: &[u8], f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("<<")?;
    let latin1 = |byte: &u8| char::from(*byte);
    let unicode = std::str::from_utf8(bytes).ok().filter(|text| {
        f.alternate() && !text.is_ascii() && text.chars().all(|point| is_printable(point, true))
    });
    if let Some(text) = unicode {
        quoted(text.chars(), '"', f)?;
        f.write_str("/utf8")?;
    } else if !bytes.is_empty() && bytes.iter().all(|byte| is_printable(latin1(byte), false)) {
        quoted(bytes.iter().map(latin1), '"', f)?;
    } else {
        numbers(bytes, f)?;
    }
    f.write_str(">>")
}

fn print_bits(bits: &Bits, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str("<<")?;
    if let Some((last, bytes)) = bits.bytes().split_last() {
        numbers(bytes, f)?;
        comma(bytes.len(), f)?;
        let used = u32::from(bits.last());
        let value = last.checked_shr(8u32.saturating_sub(used)).unwrap_or(0);
        write!(f, "{value}:{used}")?;
    }
    f.write_str(">>")
}

/// An atom, quoted where needed.
pub(crate) fn print_atom(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    if is_plain(text) {
        f.write_str(text)
    } else {
        quoted(text.chars(), '\'', f)
    }
}

/// What `io_lib:printable_list` takes: Latin-1, or all of Unicode.
fn is_printable(point: char, unicode: bool) -> bool {
    match point {
        ' '..='~'
        | '\n'
        | '\r'
        | '\t'
        | '\x0b'
        | '\x08'
        | '\x0c'
        | '\x1b'
        | '\u{a0}'..='\u{ff}' => true,
        _ => unicode && u32::from(point) > 0xff && !matches!(point, '\u{fffe}' | '\u{ffff}'),
    }
}

fn quoted(points: impl Iterator<Item = char>, quote: char, f: &mut Formatter<'_>) -> fmt::Result {
    let unicode = f.alternate();
    f.write_char(quote)?;
    for point in points {
        match point {
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\x0b' => f.write_str("\\v")?,
            '\x08' => f.write_str("\\b")?,
            '\x0c' => f.write_str("\\f")?,
            '\x1b' => f.write_str("\\e")?,
            '\x7f' => f.write_str("\\d")?,
            '\\' => f.write_str("\\\\")?,
            _ if point == quote => {
                f.write_char('\\')?;
                f.write_char(point)?;
            }
            '\0'..='\x1f' => write!(f, "\\{:03o}", u32::from(point))?,
            '\u{80}'..='\u{9f}' => write!(f, "\\{:03o}", u32::from(point))?,
            _ if u32::from(point) > 0xff && !unicode => write!(f, "\\x{{{:X}}}", u32::from(point))?,
            _ => f.write_char(point)?,
        }
    }
    f.write_char(quote)
}
