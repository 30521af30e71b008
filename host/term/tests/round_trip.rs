//! What is written is read again as the same term, whole or where it lies.

mod common;

use proptest::prelude::*;
use switchhook_term::{
    Kind, Limits, Malformed, Tape, Term, View, atom, decode, decode_prefix, encode, list, map,
    to_bytes, tuple,
};

proptest! {
    #[test]
    fn a_term_comes_back_equal(term in common::term()) {
        prop_assert_eq!(decode(&to_bytes(&term)).unwrap(), term);
    }

    #[test]
    fn a_prefix_ends_where_the_term_does(term in common::term(), after: Vec<u8>) {
        let mut bytes = to_bytes(&term);
        let length = bytes.len();
        bytes.extend(after);
        let (found, end) = decode_prefix(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!((found, end), (term, length));
    }

    #[test]
    fn a_term_cut_short_is_refused(term in common::term(), cut: prop::sample::Index) {
        let bytes = to_bytes(&term);
        let refused = decode(&bytes[..cut.index(bytes.len())]);
        prop_assert!(matches!(refused, Err(Malformed::Truncated { .. })), "{:?}", refused);
    }

    #[test]
    fn a_copied_view_is_the_same_term(term in common::term()) {
        let bytes = to_bytes(&term);
        let mut tape = Tape::new();
        let view = tape.decode(&bytes, &Limits::default()).unwrap();
        let mut copy = vec![131];
        view.copy_to(&mut copy);
        prop_assert_eq!(&copy, &bytes);
        parts_agree(view, &term)?;
    }

    #[test]
    fn bytes_of_a_peer_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = 131;
        }
        if let Ok(term) = decode(&bytes) {
            prop_assert_eq!(decode(&to_bytes(&term)).unwrap(), term);
        }
    }
}

/// A view shows what the tree has.
#[allow(clippy::unwrap_used)] // a mistake ends the test
fn parts_agree(view: View<'_>, term: &Term) -> Result<(), TestCaseError> {
    prop_assert_eq!(&view.to_term().unwrap(), term);
    prop_assert_eq!(view.int(), term.as_int());
    let atom = view.atom();
    prop_assert_eq!(atom.as_deref(), term.as_atom().map(|atom| atom.as_str()));
    prop_assert_eq!(view.pid(), term.as_pid().cloned());
    prop_assert_eq!(view.reference(), term.as_reference().cloned());
    prop_assert_eq!(view.binary(), term.as_binary());
    prop_assert_eq!(view.text(), term.as_text());
    prop_assert_eq!(view.is_nil(), term.is_nil());
    if let Some(parts) = term.as_tuple() {
        let views: Vec<View<'_>> = view.tuple().unwrap().collect();
        prop_assert_eq!(views.len(), parts.len());
        for (view, part) in views.into_iter().zip(parts) {
            parts_agree(view, part)?;
        }
    }
    if let Term::Map(map) = term {
        let views: Vec<_> = view.map().unwrap().collect();
        for ((key, value), pair) in views.into_iter().zip(map.pairs()) {
            parts_agree(key, &pair.0)?;
            parts_agree(value, &pair.1)?;
        }
    }
    if let (Term::List(items), Some((views, tail))) = (term, view.list()) {
        prop_assert!(tail.is_nil());
        for (view, item) in views.zip(items) {
            parts_agree(view, item)?;
        }
    }
    Ok(())
}

#[test]
fn the_old_forms_are_read() {
    let latin1 = [131, 100, 0, 2, b'h', 0xe9];
    assert_eq!(decode(&latin1).unwrap(), atom("hé"));
    let small_latin1 = [131, 115, 2, b'h', 0xe9];
    assert_eq!(decode(&small_latin1).unwrap(), atom("hé"));
    let mut float = vec![131, 99];
    float.extend(b"1.50000000000000000000e+00\0\0\0\0\0");
    assert_eq!(decode(&float).unwrap(), Term::Float(1.5));
    let pid = [131, 103, 119, 1, b'a', 0, 0, 0, 7, 0, 0, 0, 8, 2];
    let Term::Pid(pid) = decode(&pid).unwrap() else {
        panic!("no pid")
    };
    assert_eq!((pid.id, pid.serial, pid.creation), (7, 8, 2));
    let reference = [131, 101, 119, 1, b'a', 0, 0, 0, 7, 2];
    assert_eq!(
        decode(&reference).unwrap().as_reference().unwrap().ids[..],
        [7]
    );
    let newer = [131, 114, 0, 2, 119, 1, b'a', 2, 0, 0, 0, 7, 0, 0, 0, 9];
    assert_eq!(
        decode(&newer).unwrap().as_reference().unwrap().ids[..],
        [7, 9]
    );
    let port = [131, 102, 119, 1, b'a', 0, 0, 0, 7, 2];
    assert!(matches!(decode(&port).unwrap(), Term::Port(port) if port.id == 7));
}

#[test]
fn a_list_in_the_tail_of_a_list_goes_on_with_it() {
    // as ei writes lists whose length is not known: [1 | [2 | [3 | "ab"]]]
    let mut bytes = vec![131];
    for number in 1..=3 {
        bytes.extend([108, 0, 0, 0, 1, 97, number]);
    }
    let mut with_string = bytes.clone();
    with_string.extend([107, 0, 2, b'a', b'b']);
    bytes.push(106);
    assert_eq!(decode(&bytes).unwrap(), list![1, 2, 3]);
    assert_eq!(decode(&with_string).unwrap(), list![1, 2, 3, 97, 98]);

    let mut tape = Tape::new();
    let view = tape.decode(&with_string, &Limits::default()).unwrap();
    let (items, tail) = view.list().unwrap();
    assert_eq!(
        items.filter_map(View::int).collect::<Vec<_>>(),
        [1, 2, 3, 97, 98]
    );
    assert!(tail.is_nil());
    let mut copy = vec![131, 104, 1];
    let (mut items, _) = view.list().unwrap();
    items.nth(4).unwrap().copy_to(&mut copy);
    assert_eq!(decode(&copy).unwrap(), tuple![98]);
}

#[test]
fn a_string_is_a_list_of_integers() {
    let string = Term::from("ab");
    assert_eq!(string, list![97, 98]);
    assert_eq!(to_bytes(&string), to_bytes(&list![97, 98]));
    assert_eq!(Term::from(""), Term::NIL);
    let elements: Vec<_> = string
        .as_list()
        .unwrap()
        .map(|item| item.as_int())
        .collect();
    assert_eq!(elements, [Some(97), Some(98)]);
    let long = vec![7; 70_000];
    assert_eq!(
        decode(&to_bytes(&Term::String(long.clone()))).unwrap(),
        Term::String(long)
    );
}

#[test]
fn a_call_to_a_gen_server_is_read_where_it_lies() {
    let mut bytes = Vec::new();
    encode(
        &tuple![
            atom("$gen_call"),
            tuple![atom("from"), list![atom("alias"); atom("ref")]],
            map! { "key" => 5 }
        ],
        &mut bytes,
    );
    let mut tape = Tape::new();
    let view = tape.decode(&bytes, &Limits::default()).unwrap();
    let [call, from, request] = view.elements().unwrap();
    assert!(call.is_atom("$gen_call"));
    assert_eq!(from.kind(), Kind::Tuple);
    let (items, tail) = from.element(1).unwrap().list().unwrap();
    assert_eq!((items.len(), tail.atom().as_deref()), (1, Some("ref")));
    let mut passed_on = vec![131];
    request.copy_to(&mut passed_on);
    assert_eq!(decode(&passed_on).unwrap(), map! { "key" => 5 });
    assert!(view.element(3).is_none());
    assert!(view.elements::<2>().is_none());
}
