//! Writes the kinds of term that the protocol itself is made of, without the version byte.

use crate::ids::{Pid, Reference};

/// `{..}` of so many elements, which follow.
pub(crate) fn tuple(out: &mut Vec<u8>, arity: u8) {
    out.extend([b'h', arity]);
}

/// `[..]` of so many elements, which follow; [`nil`] ends it.
pub(crate) fn list(out: &mut Vec<u8>, count: u32) {
    out.push(b'l');
    out.extend(count.to_be_bytes());
}

/// `[]`.
pub(crate) fn nil(out: &mut Vec<u8>) {
    out.push(b'j');
}

/// A number from 0 up.
pub(crate) fn integer(out: &mut Vec<u8>, number: u64) {
    match (u8::try_from(number), i32::try_from(number)) {
        (Ok(small), _) => out.extend([b'a', small]),
        (_, Ok(number)) => {
            out.push(b'b');
            out.extend(number.to_be_bytes());
        }
        _ => {
            let bytes = number.to_le_bytes();
            let count = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(1, |last| last + 1);
            out.extend([b'n', count as u8, 0]);
            out.extend(bytes.iter().take(count));
        }
    }
}

/// An atom; what is beyond 255 characters is cut off.
pub(crate) fn atom(out: &mut Vec<u8>, text: &str) {
    let end = text
        .char_indices()
        .nth(255)
        .map_or(text.len(), |(at, _)| at);
    let bytes = text.as_bytes().get(..end).unwrap_or_default();
    match u8::try_from(bytes.len()) {
        Ok(length) => out.extend([b'w', length]),
        Err(_) => {
            out.push(b'v');
            // 255 characters have at most 1020 bytes.
            out.extend((bytes.len() as u16).to_be_bytes());
        }
    }
    out.extend(bytes);
}

/// A pid.
pub(crate) fn pid(out: &mut Vec<u8>, pid: &Pid) {
    out.push(b'X');
    atom(out, pid.node.as_str());
    out.extend(pid.id.to_be_bytes());
    out.extend(pid.serial.to_be_bytes());
    out.extend(pid.creation.to_be_bytes());
}

/// A reference.
pub(crate) fn reference(out: &mut Vec<u8>, reference: &Reference) {
    let words = reference.ids.as_slice();
    out.extend([b'Z', 0, words.len() as u8]);
    atom(out, reference.node.as_str());
    out.extend(reference.creation.to_be_bytes());
    for word in words {
        out.extend(word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Words;
    use crate::name::NodeName;
    use crate::wire::read::Reader;

    #[test]
    fn what_is_written_is_read() {
        let node = NodeName::new("a@b").unwrap();
        let a_pid = Pid {
            node: node.clone(),
            id: 1,
            serial: 2,
            creation: 0xffff_fff0,
        };
        let a_reference = Reference {
            node,
            creation: 3,
            ids: Words::new(&[1, 2, 3, 4, 5]).unwrap(),
        };
        let text = "\u{20ac}".repeat(255);
        let mut out = Vec::new();
        tuple(&mut out, 4);
        pid(&mut out, &a_pid);
        reference(&mut out, &a_reference);
        atom(&mut out, &text);
        list(&mut out, 5);
        let numbers = [0, 255, 256, u64::from(u32::MAX), u64::MAX];
        for number in numbers {
            integer(&mut out, number);
        }
        nil(&mut out);
        let mut reader = Reader::new(&out, &[]);
        assert_eq!(reader.tuple(), Ok(4));
        assert_eq!(reader.pid(), Ok(a_pid));
        assert_eq!(reader.reference(), Ok(a_reference));
        assert_eq!(reader.atom().unwrap(), text);
        assert_eq!(reader.list(), Ok(5));
        for number in numbers {
            assert_eq!(reader.integer(), Ok(number));
        }
        assert_eq!(reader.rest(), b"j");
    }
}
