//! Beside Erlang itself: the same terms come back, are printed alike and sorted alike.
//!
//! Needs `erl` (Debian: erlang-base). Where it is absent the test says so and passes over; under CI that is a failure.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a mistake ends the test")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use switchhook_term::{Limits, Term, decode_with, to_bytes};

/// Reads a list of terms, and writes `{Again, Printed, PrintedUnicode, Sorted}`.
const PROGRAM: &str = r#"
    [In, Out] = init:get_plain_arguments(),
    {ok, Bytes} = file:read_file(In),
    Terms = binary_to_term(Bytes),
    Text = fun(Format, T) -> unicode:characters_to_binary(io_lib:format(Format, [T])) end,
    ok = file:write_file(Out, term_to_binary({Terms,
        [Text("~0p", T) || T <- Terms], [Text("~0tp", T) || T <- Terms], lists:sort(Terms)})),
    halt(0)."#;

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("switchhook-term-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What Erlang makes of these terms; none where there is no Erlang.
fn erlang(terms: &[Term]) -> Option<[Vec<Term>; 4]> {
    if Command::new("erl").arg("-version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "erl is not installed");
        eprintln!("passed over: erl is not installed");
        return None;
    }
    let (input, output) = (folder().join("in"), folder().join("out"));
    fs::write(&input, to_bytes(&Term::List(terms.to_vec()))).unwrap();
    let ran = Command::new("timeout")
        .args([
            "120",
            "erl",
            "+pc",
            "unicode",
            "-noshell",
            "-boot",
            "start_clean",
            "-eval",
            PROGRAM,
            "-extra",
        ])
        .args([&input, &output])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let limits = Limits {
        count: 10_000_000,
        ..Limits::default()
    };
    let answer = decode_with(&fs::read(&output).unwrap(), &limits).unwrap();
    fs::remove_dir_all(folder()).unwrap();
    let lists = answer.as_tuple().unwrap().iter().map(|list| {
        let items = list.as_list().unwrap();
        items.map(std::borrow::Cow::into_owned).collect()
    });
    Some(lists.collect::<Vec<_>>().try_into().unwrap())
}

/// Whether Erlang prints it as we do: identities and functions are shown in another way there, and the order of a map's keys is its own.
fn is_printed_alike(term: &Term) -> bool {
    match term {
        Term::Pid(_) | Term::Port(_) | Term::Reference(_) | Term::Fun(_) | Term::Export(_) => false,
        Term::Tuple(parts) | Term::List(parts) => parts.iter().all(is_printed_alike),
        Term::Improper(list) => {
            list.items().iter().all(is_printed_alike) && is_printed_alike(list.tail())
        }
        Term::Map(map) => {
            map.len() < 2
                && map
                    .pairs()
                    .iter()
                    .all(|(key, value)| is_printed_alike(key) && is_printed_alike(value))
        }
        _ => true,
    }
}

#[test]
fn terms_are_the_same_in_erlang() {
    let mut runner = TestRunner::deterministic();
    let mut terms: Vec<Term> = (0..1500)
        .map(|_| common::term().new_tree(&mut runner).unwrap().current())
        .collect();
    let floats = common::float().prop_map(Term::Float);
    terms.extend((0..500).map(|_| floats.new_tree(&mut runner).unwrap().current()));
    let Some([again, printed, unicode, sorted]) = erlang(&terms) else {
        return;
    };
    assert_eq!(again, terms);
    let mut printed_alike = 0;
    for ((term, printed), unicode) in terms.iter().zip(&printed).zip(&unicode) {
        if is_printed_alike(term) {
            printed_alike += 1;
            assert_eq!(printed.as_text().unwrap(), term.to_string());
            assert_eq!(unicode.as_text().unwrap(), format!("{term:#}"));
        }
    }
    assert!(printed_alike > 900, "{printed_alike}");
    let mut ours = terms;
    ours.sort_by(Term::compare);
    for (theirs, ours) in sorted.iter().zip(&ours) {
        assert_eq!(theirs, ours);
    }
}
