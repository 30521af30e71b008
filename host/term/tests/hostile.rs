//! Bytes of a peer that means harm: refused, in little memory and time.

use switchhook_term::{
    Limits, Malformed, Map, Tape, Term, atom, decode, decode_with, map, parse, to_bytes, tuple,
};

#[allow(clippy::unwrap_used)] // a mistake ends the test
fn refused(bytes: &[u8]) -> Malformed {
    decode(bytes).unwrap_err()
}

#[test]
fn a_million_deep_term() {
    let mut lists = vec![131];
    let mut tuples = vec![131];
    let mut maps = vec![131];
    for _ in 0..1_000_000 {
        lists.extend([108, 0, 0, 0, 1]);
        tuples.extend([104, 1]);
        maps.extend([116, 0, 0, 0, 1]);
    }
    for bytes in [lists, tuples, maps] {
        assert!(matches!(
            refused(&bytes),
            Malformed::Depth { limit: 512, .. }
        ));
    }
}

#[test]
fn counts_that_promise_more_than_came() {
    for tag in [105, 108, 116] {
        let bytes = [131, tag, 0xff, 0xff, 0xff, 0xff, 106];
        assert!(matches!(refused(&bytes), Malformed::Truncated { .. }));
    }
    for tag in [109, 111] {
        let bytes = [131, tag, 0xff, 0xff, 0xff, 0xff, 0];
        assert!(matches!(refused(&bytes), Malformed::Truncated { .. }));
    }
}

#[test]
fn more_terms_than_are_taken() {
    let mut bytes = vec![131, 108, 0, 32, 0, 0];
    bytes.resize(bytes.len() + 0x20_0001, 106);
    assert!(matches!(refused(&bytes), Malformed::Count { .. }));
    let mut tail = vec![131, 108, 0, 0, 0, 1, 106, 107, 0xff, 0xff];
    tail.resize(tail.len() + 0xffff, 7);
    let few = Limits {
        count: 1000,
        ..Limits::default()
    };
    assert!(matches!(
        decode_with(&tail, &few),
        Err(Malformed::Count { limit: 1000, .. })
    ));
    assert!(decode(&tail).is_ok());
}

#[test]
fn more_bytes_than_are_taken() {
    let few = Limits {
        bytes: 100,
        ..Limits::default()
    };
    let bytes = to_bytes(&Term::binary([7; 100]));
    assert_eq!(
        decode_with(&bytes, &few),
        Err(Malformed::Bytes { limit: 100 })
    );
    assert!(decode_with(&to_bytes(&Term::binary([7; 90])), &few).is_ok());
}

#[test]
fn an_atom_flood_costs_its_bytes() {
    let mut bytes = vec![131, 108, 0, 1, 0, 0];
    for number in 0..0x1_0000u32 {
        let text = format!("{number:09}");
        bytes.extend([119, 9]);
        bytes.extend(text.as_bytes());
    }
    bytes.push(106);
    assert!(decode(&bytes).is_ok());
}

fn compressed(term: &[u8], announced: u32) -> Vec<u8> {
    let mut bytes = vec![131, 80];
    bytes.extend(announced.to_be_bytes());
    bytes.extend(miniz_oxide::deflate::compress_to_vec_zlib(term, 6));
    bytes
}

#[test]
fn compressed_terms_and_bombs() {
    let term = to_bytes(&Term::binary(vec![0; 100_000]));
    let inner = &term[1..];
    let length = u32::try_from(inner.len()).unwrap();
    let good = compressed(inner, length);
    assert_eq!(decode(&good).unwrap(), Term::binary(vec![0; 100_000]));

    let mut followed = good.clone();
    followed.extend(b"more");
    let (_, end) = switchhook_term::decode_prefix(&followed, &Limits::default()).unwrap();
    assert_eq!(end, good.len());
    assert!(matches!(
        refused(&followed),
        Malformed::Trailing { left: 4, .. }
    ));

    for announced in [length - 1, length + 1] {
        let wrong = compressed(inner, announced);
        assert!(matches!(refused(&wrong), Malformed::Compressed { .. }));
    }
    // a small stream that announces gigabytes is refused before anything is allocated
    assert!(matches!(
        refused(&compressed(inner, u32::MAX)),
        Malformed::Bytes { .. }
    ));
    assert!(matches!(
        refused(&compressed(b"a", 60 << 20)),
        Malformed::Compressed { .. }
    ));
    let few = Limits {
        bytes: 1000,
        ..Limits::default()
    };
    assert_eq!(
        decode_with(&good, &few),
        Err(Malformed::Bytes { limit: 1000 })
    );
    // compressed again inside: not a term
    let again = compressed(&good[1..], u32::try_from(good.len() - 1).unwrap());
    assert!(matches!(refused(&again), Malformed::Tag { tag: 80, .. }));
}

#[test]
fn what_is_no_erlang_term() {
    for (bytes, why) in [
        (
            &[][..],
            "the term ends at byte 0, 1 more bytes were expected",
        ),
        (&[130, 97, 1], "the first byte is 130, expected version 131"),
        (
            &[131, 97, 1, 2],
            "1 bytes after the end of the term at byte 3",
        ),
        (&[131, 1], "unknown tag 1 at byte 1"),
        (&[131, 0], "unknown tag 0 at byte 1"),
        (
            &[131, 119, 1, 0xff],
            "no atom of at most 255 characters at byte 1",
        ),
        (
            &[131, 70, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0],
            "no finite float at byte 2",
        ),
        (
            &[131, 70, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
            "no finite float at byte 2",
        ),
        (
            &[131, 77, 0, 0, 0, 1, 9, 1],
            "a bit string with 9 bits in its last byte at byte 1",
        ),
        (
            &[131, 108, 0, 0, 0, 0, 97, 1],
            "a list of no elements at byte 1",
        ),
        (
            &[131, 90, 0, 6, 119, 1, 97],
            "a malformed reference at byte 1",
        ),
        (
            &[131, 88, 97, 1],
            "no atom of at most 255 characters at byte 2",
        ),
        (
            &[131, 116, 0, 0, 0, 2, 97, 1, 97, 1, 97, 1, 97, 2],
            "a map has a key twice",
        ),
        (
            &[131, 113, 119, 1, 97, 119, 1, 97, 119, 0],
            "a malformed export at byte 1",
        ),
    ] {
        assert_eq!(refused(bytes).to_string(), why, "{bytes:?}");
    }
    let mut long = vec![131, 118, 1, 0];
    long.extend([b'a'; 256]);
    assert!(matches!(refused(&long), Malformed::Atom { .. }));
}

#[test]
fn a_fun_whose_size_lies() {
    let fun = to_bytes(&Term::Fun(Box::new(switchhook_term::Fun {
        arity: 1,
        uniq: [7; 16],
        index: 3,
        module: switchhook_term::Atom::from_static("m"),
        old_index: 3,
        old_uniq: 99,
        creator: switchhook_term::Pid {
            node: switchhook_term::Atom::from_static("n@h"),
            id: 1,
            serial: 2,
            creation: 3,
        },
        free: vec![atom("x")],
    })));
    assert!(decode(&fun).is_ok());
    let mut lying = fun;
    lying[5] += 1;
    assert!(matches!(
        refused(&lying),
        Malformed::Part { kind: "fun", .. }
    ));
}

#[test]
fn a_map_key_twice_is_found_before_it_is_sent() {
    let twice = [131, 116, 0, 0, 0, 2, 97, 1, 97, 1, 97, 1, 97, 2];
    let mut tape = Tape::new();
    assert!(tape.decode(&twice, &Limits::default()).is_ok());
    assert_eq!(
        tape.check(&twice, &Limits::default()),
        Err(Malformed::DuplicateKey)
    );
    assert!(
        tape.check(&to_bytes(&map! { 1 => 2, 1.0 => 2 }), &Limits::default())
            .is_ok()
    );
    assert_eq!(
        Map::from_pairs(vec![(1.into(), 1.into()), (1.into(), 2.into())]).len(),
        1
    );
}

#[test]
fn hostile_text() {
    assert!(parse(&"[".repeat(1_000_000)).is_err());
    assert!(parse(&"{".repeat(1_000_000)).is_err());
    assert!(parse(&"#{".repeat(1_000_000)).is_err());
    assert!(parse(&"9".repeat(1_000_000)).is_err());
    assert!(parse(&format!("16#{}", "f".repeat(1_000_000))).is_ok());
    let text = format!("[{}]", "a,".repeat(2_000_000));
    assert!(parse(&text).is_err());
    assert_eq!(parse("{a,1}").unwrap(), tuple![atom("a"), 1]);
}
