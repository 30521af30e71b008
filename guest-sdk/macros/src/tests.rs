//! What the macro says about each mistake of tests/fail: the message beside it, in NAME.expected. `UPDATE_EXPECTED=1` writes them anew.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use quote::ToTokens;
use syn::Meta;

#[test]
fn every_mistake_gets_the_message_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fail");
    let mut wrong = String::new();
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "rs") {
            continue;
        }
        seen += 1;
        let said = message(&fs::read_to_string(&path).unwrap());
        let expected = path.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != said {
            write!(wrong, "\n{} says:\n{said}", path.display()).unwrap();
        }
    }
    assert!(seen > 15, "the mistakes are not where they should be");
    assert!(wrong.is_empty(), "{wrong}");
}

/// What the macro says of the one item in a file, as rustc would show it.
fn message(source: &str) -> String {
    let file = syn::parse_file(source).unwrap();
    let mut item = file.items.into_iter().next().unwrap();
    let attributes = match &mut item {
        syn::Item::Mod(module) => &mut module.attrs,
        syn::Item::Fn(function) => &mut function.attrs,
        _ => panic!("a module or a function is expected"),
    };
    let arguments = match attributes.remove(0).meta {
        Meta::List(list) => list.tokens,
        _ => Default::default(),
    };
    let error = crate::module::script(arguments, item.into_token_stream())
        .map(|tokens| tokens.to_string())
        .expect_err("this is a mistake");

    let mut shown = format!("error: {error}\n");
    let (start, end) = (error.span().start(), error.span().end());
    // without a place of its own the error is shown at the attribute
    let (line, from, to) = match (start.line, end.line) {
        (0, _) | (1, _) if start.column == 0 && start == end => (1, 0, source.find('\n').unwrap()),
        (line, same) if line == same => (line, start.column, end.column),
        (line, _) => (
            line,
            start.column,
            source.lines().nth(line - 1).unwrap().len(),
        ),
    };
    let text = source.lines().nth(line - 1).unwrap();
    let marks = "^".repeat(to - from);
    writeln!(shown, "{line:3} | {text}\n    | {:from$}{marks}", "").unwrap();
    shown
}
