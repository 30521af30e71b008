//! The external format, part by part, for those who write messages without making a tree first.
//!
//! Each function appends. A term that stands alone begins with [`version`]. After [`tuple()`], [`list`] or [`map`] its parts follow, and
//! after a list's elements its tail: [`nil`] for a proper one.

use crate::{Atom, Big, Bits, Export, Pid, Port, Reference, tag};

/// The byte before a term that stands alone.
pub fn version(out: &mut Vec<u8>) {
    out.push(tag::VERSION);
}

/// An integer.
#[inline]
pub fn int(out: &mut Vec<u8>, number: i64) {
    if let Ok(byte) = u8::try_from(number) {
        out.extend_from_slice(&[tag::SMALL_INTEGER, byte]);
    } else if let Ok(number) = i32::try_from(number) {
        let [a, b, c, d] = number.to_be_bytes();
        out.extend_from_slice(&[tag::INTEGER, a, b, c, d]);
    } else {
        let distance = number.unsigned_abs();
        let used = 8 - distance.leading_zeros() / 8;
        magnitude(
            out,
            number < 0,
            distance.to_le_bytes().get(..used as usize).unwrap_or(&[]),
        );
    }
}

/// An integer beyond 64 bits.
pub fn big(out: &mut Vec<u8>, number: &Big) {
    magnitude(out, number.is_negative(), number.magnitude());
}

fn magnitude(out: &mut Vec<u8>, negative: bool, magnitude: &[u8]) {
    match u8::try_from(magnitude.len()) {
        Ok(length) => out.extend_from_slice(&[tag::SMALL_BIG, length]),
        Err(_) => {
            out.push(tag::LARGE_BIG);
            length(out, magnitude.len());
        }
    }
    out.push(u8::from(negative));
    out.extend_from_slice(magnitude);
}

/// A float. Erlang knows no infinity and no NaN, and a peer refuses them.
#[inline]
pub fn float(out: &mut Vec<u8>, number: f64) {
    out.push(tag::NEW_FLOAT);
    out.extend_from_slice(&number.to_be_bytes());
}

/// An atom.
#[inline]
pub fn atom(out: &mut Vec<u8>, atom: &Atom) {
    atom_text(out, atom.as_str());
}

/// An atom of a text in the program, of at most 255 characters.
#[inline]
pub fn atom_text(out: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) => out.extend_from_slice(&[tag::SMALL_ATOM_UTF8, length]),
        Err(_) => {
            out.push(tag::ATOM_UTF8);
            short_length(out, text.len());
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// The beginning of a tuple; its elements follow.
#[inline]
pub fn tuple(out: &mut Vec<u8>, arity: usize) {
    match u8::try_from(arity) {
        Ok(arity) => out.extend_from_slice(&[tag::SMALL_TUPLE, arity]),
        Err(_) => {
            out.push(tag::LARGE_TUPLE);
            length(out, arity);
        }
    }
}

/// The beginning of a list; its elements and its tail follow. The list of none is [`nil`] alone.
#[inline]
pub fn list(out: &mut Vec<u8>, count: usize) {
    if count > 0 {
        out.push(tag::LIST);
        length(out, count);
    }
}

/// The empty list.
#[inline]
pub fn nil(out: &mut Vec<u8>) {
    out.push(tag::NIL);
}

/// A list of bytes.
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        nil(out);
    } else if u16::try_from(bytes.len()).is_ok() {
        out.push(tag::STRING);
        short_length(out, bytes.len());
        out.extend_from_slice(bytes);
    } else {
        list(out, bytes.len());
        for byte in bytes {
            out.extend_from_slice(&[tag::SMALL_INTEGER, *byte]);
        }
        nil(out);
    }
}

/// A text as a list of its code points, Erlang's string.
pub fn text(out: &mut Vec<u8>, text: &str) {
    if text.is_ascii() {
        return string(out, text.as_bytes());
    }
    let points = text.chars().count();
    if points <= usize::from(u16::MAX) && text.chars().all(|point| u8::try_from(point).is_ok()) {
        out.push(tag::STRING);
        short_length(out, points);
        out.extend(text.chars().filter_map(|point| u8::try_from(point).ok()));
        return;
    }
    list(out, points);
    for point in text.chars() {
        int(out, i64::from(u32::from(point)));
    }
    nil(out);
}

/// A binary.
#[inline]
pub fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(tag::BINARY);
    length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A bit string.
pub fn bits(out: &mut Vec<u8>, bits: &Bits) {
    out.push(tag::BIT_BINARY);
    length(out, bits.bytes().len());
    out.push(bits.last());
    out.extend_from_slice(bits.bytes());
}

/// The beginning of a map; a key and a value follow for each pair.
pub fn map(out: &mut Vec<u8>, pairs: usize) {
    out.push(tag::MAP);
    length(out, pairs);
}

/// A pid.
pub fn pid(out: &mut Vec<u8>, pid: &Pid) {
    out.push(tag::NEW_PID);
    atom(out, &pid.node);
    out.extend_from_slice(&pid.id.to_be_bytes());
    out.extend_from_slice(&pid.serial.to_be_bytes());
    out.extend_from_slice(&pid.creation.to_be_bytes());
}

/// A port.
pub fn port(out: &mut Vec<u8>, port: &Port) {
    match u32::try_from(port.id) {
        Ok(id) => {
            out.push(tag::NEW_PORT);
            atom(out, &port.node);
            out.extend_from_slice(&id.to_be_bytes());
        }
        Err(_) => {
            out.push(tag::V4_PORT);
            atom(out, &port.node);
            out.extend_from_slice(&port.id.to_be_bytes());
        }
    }
    out.extend_from_slice(&port.creation.to_be_bytes());
}

/// A reference.
pub fn reference(out: &mut Vec<u8>, reference: &Reference) {
    out.push(tag::NEWER_REFERENCE);
    short_length(out, reference.ids.len());
    atom(out, &reference.node);
    out.extend_from_slice(&reference.creation.to_be_bytes());
    for word in &reference.ids {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// An export.
pub fn export(out: &mut Vec<u8>, export: &Export) {
    out.push(tag::EXPORT);
    atom(out, &export.module);
    atom(out, &export.function);
    out.extend_from_slice(&[tag::SMALL_INTEGER, export.arity]);
}

/// Longer than 4 GiB is no term; the count then says so to whoever reads it.
#[inline]
pub(crate) fn length(out: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
}

#[inline]
fn short_length(out: &mut Vec<u8>, length: usize) {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
}
