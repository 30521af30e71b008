//! A tree to bytes, as OTP would write it: a list of bytes as a string, atoms in UTF-8, new pids and references.
//!
//! It goes into the term by recursion: a decoded term is as deep as the limits allowed, a built one as deep as the program made it.

use crate::{Fun, Term, tag, write};

/// The longest list that OTP writes as a string.
const STRING: usize = u16::MAX as usize;

/// Appends a term with its version.
pub fn encode(term: &Term, out: &mut Vec<u8>) {
    write::version(out);
    encode_bare(term, out);
}

/// A term with its version.
#[must_use]
pub fn to_bytes(term: &Term) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    encode(term, &mut out);
    out
}

/// Appends a term without a version.
pub fn encode_bare(term: &Term, out: &mut Vec<u8>) {
    match term {
        Term::Int(number) => write::int(out, *number),
        Term::Atom(atom) => write::atom(out, atom),
        Term::Binary(bytes) => write::binary(out, bytes),
        Term::String(bytes) => write::string(out, bytes),
        Term::Tuple(parts) => {
            write::tuple(out, parts.len());
            all(parts, out);
        }
        Term::List(items) => list(items, out),
        Term::Float(number) => write::float(out, *number),
        Term::Map(map) => {
            write::map(out, map.len());
            for (key, value) in map.pairs() {
                encode_bare(key, out);
                encode_bare(value, out);
            }
        }
        Term::Improper(list) => {
            write::list(out, list.items().len());
            all(list.items(), out);
            encode_bare(list.tail(), out);
        }
        Term::Big(number) => write::big(out, number),
        Term::Bits(bits) => write::bits(out, bits),
        Term::Pid(pid) => write::pid(out, pid),
        Term::Port(port) => write::port(out, port),
        Term::Reference(reference) => write::reference(out, reference),
        Term::Export(export) => write::export(out, export),
        Term::Fun(fun) => encode_fun(fun, out),
    }
}

fn all(terms: &[Term], out: &mut Vec<u8>) {
    for term in terms {
        encode_bare(term, out);
    }
}

fn list(items: &[Term], out: &mut Vec<u8>) {
    let byte = |item: &Term| item.as_int().and_then(|number| u8::try_from(number).ok());
    if !items.is_empty() && items.len() <= STRING && items.iter().all(|item| byte(item).is_some()) {
        out.push(tag::STRING);
        out.extend_from_slice(&u16::try_from(items.len()).unwrap_or(0).to_be_bytes());
        out.extend(items.iter().filter_map(byte));
        return;
    }
    write::list(out, items.len());
    all(items, out);
    write::nil(out);
}

fn encode_fun(fun: &Fun, out: &mut Vec<u8>) {
    out.push(tag::NEW_FUN);
    let size = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(fun.arity);
    out.extend_from_slice(&fun.uniq);
    out.extend_from_slice(&fun.index.to_be_bytes());
    write::length(out, fun.free.len());
    write::atom(out, &fun.module);
    write::int(out, fun.old_index);
    write::int(out, fun.old_uniq);
    write::pid(out, &fun.creator);
    all(&fun.free, out);
    let length = u32::try_from(out.len().saturating_sub(size)).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(size..size.saturating_add(4)) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}
