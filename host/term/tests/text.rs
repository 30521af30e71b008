//! Terms as text, and back.

mod common;

use proptest::prelude::*;
use switchhook_term::{Atom, Big, Bits, Export, Improper, Term, atom, list, map, parse, tuple};

proptest! {
    #[test]
    fn what_is_printed_is_read_again(term in common::printable()) {
        for text in [term.to_string(), format!("{term:#}")] {
            prop_assert_eq!(parse(&text).map_err(|e| format!("{text}: {e}")), Ok(term.clone()));
        }
    }

    #[test]
    fn text_never_panics(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn things_that_look_like_terms_never_panic(text in "[-{}\\[\\]<>#,.|:/$a1\"'\\\\% ~=+x8e]{0,40}") {
        if let Ok(term) = parse(&text) {
            prop_assert_eq!(parse(&term.to_string()), Ok(term));
        }
    }
}

#[test]
fn terms_look_as_in_the_erlang_shell() {
    let big = Big::integer(true, &(1u128 << 100).to_le_bytes());
    let export = Export {
        module: Atom::from_static("lists"),
        function: Atom::from_static("map"),
        arity: 2,
    };
    for (term, text) in [
        (tuple![atom("hello"), "Erlang"], r#"{hello,"Erlang"}"#),
        (
            tuple![atom("call_desc"), "123123123", 1, atom("inbound")],
            r#"{call_desc,"123123123",1,inbound}"#,
        ),
        (list![1, 2.5, atom("x"); atom("t")], "[1,2.5,x|t]"),
        (list![1, 2], "[1,2]"),
        (Term::NIL, "[]"),
        (Term::from(""), "[]"),
        (list![104, 105], r#""hi""#),
        (Term::from("a\"b\\\n\te\u{1b}"), r#""a\"b\\\n\te\e""#),
        (Term::from("sm\u{e5}"), "\"sm\u{e5}\""),
        (Term::from("ж"), "[1078]"),
        (Term::binary("text"), r#"<<"text">>"#),
        (Term::binary(""), "<<>>"),
        (Term::binary([1, 2, 255]), "<<1,2,255>>"),
        (Term::binary("ü"), "<<\"Ã¼\">>"),
        (Bits::term(vec![1, 0b1010_0000], 3).unwrap(), "<<1,5:3>>"),
        (
            map! { atom("b") => 1, atom("a") => map! {} },
            "#{a => #{},b => 1}",
        ),
        (atom("$gen_cast"), "'$gen_cast'"),
        (atom("n@host"), "n@host"),
        (atom("n@host.lan"), "'n@host.lan'"),
        (atom("Upper"), "'Upper'"),
        (atom(""), "''"),
        (atom("it's"), r"'it\'s'"),
        (atom("end"), "'end'"),
        (atom("\u{1e}4"), r"'\0364'"),
        (atom("ж"), r"'\x{436}'"),
        (big, "-1267650600228229401496703205376"),
        (export.into(), "fun lists:map/2"),
        (Term::Tuple(vec![]), "{}"),
        (Improper::list(vec![1.into()], 2.into()), "[1|2]"),
    ] {
        assert_eq!(term.to_string(), text);
        assert_eq!(parse(text), Ok(term));
    }
    assert_eq!(format!("{:#}", Term::from("ж")), "\"ж\"");
    assert_eq!(format!("{:#}", atom("ж")), "'ж'");
    assert_eq!(format!("{:#}", Term::binary("ü")), "<<\"ü\"/utf8>>");
}

#[test]
fn what_a_person_writes_is_read() {
    for (text, term) in [
        (
            " { hello , \"a\" \"b\" } . % comment",
            tuple![atom("hello"), "ab"],
        ),
        ("16#ff", 255.into()),
        ("2#-1", 0.into()),
        ("1_000_000", 1_000_000.into()),
        ("$a", 97.into()),
        (r"$\n", 10.into()),
        ("-5", (-5).into()),
        ("- 5", (-5).into()),
        ("+1.5e3", 1500.0.into()),
        ("'hello world'", atom("hello world")),
        (r#""\x{436}\x41\101""#, "жAA".into()),
        (
            "<<\"ab\", 3, \"ü\"/utf8>>",
            Term::binary([97, 98, 3, 0xc3, 0xbc]),
        ),
        ("#{\n  a => 1\n}", map! { atom("a") => 1 }),
        (
            "fun 'm':f/0",
            Term::from(Export {
                module: Atom::from_static("m"),
                function: Atom::from_static("f"),
                arity: 0,
            }),
        ),
        ("'fun'", atom("fun")),
    ] {
        if text == "2#-1" {
            assert!(parse(text).is_err());
        } else {
            assert_eq!(parse(text), Ok(term), "{text}");
        }
    }
}

#[test]
fn errors_say_where_and_what() {
    for (text, error) in [
        ("", "expected a term at byte 0"),
        ("{a,", "expected a term at byte 3"),
        ("{a b}", "expected , at byte 2"),
        ("[1|2,3]", "expected ] at byte 4"),
        ("\"abc", "expected a closing quote at byte 0"),
        ("1 2", "expected the end at byte 3"),
        ("#{a => 1, a => 2}", "expected each key once at byte 17"),
        ("Var", "expected a term at byte 0"),
        ("<<256>>", "expected a byte that fits at byte 5"),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), error, "{text}");
    }
}
