//! Between Erlang's terms and the JSON of commands.
//!
//! Arguments: binaries, strings and atoms become strings; a list of small integers that reads as a text is one, since Erlang
//! can't tell them apart. Results have one of two shapes ([`Results`]). What has no counterpart is refused and named.

use crate::admin::Fault;
use crate::config::Results;
use serde_json::{Map as Object, Number, Value};
use switchhook_term::{Atom, Big, Map, Term, atom, to_bytes};

/// The arguments of a call: a list, or a string, which Erlang makes of a list of small integers.
pub(super) fn arguments(list: &Term) -> Result<Vec<Value>, Fault> {
    match list {
        Term::List(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| argument(item).map_err(|what| wrong(index, what)))
            .collect(),
        Term::String(bytes) => Ok(bytes.iter().map(|byte| Value::from(*byte)).collect()),
        _ => Err(Fault::invalid_params("expected a list of arguments")),
    }
}

fn wrong(index: usize, what: &str) -> Fault {
    Fault::invalid_params(format!("argument {}: {what} can't be converted", index + 1))
}

fn argument(term: &Term) -> Result<Value, &'static str> {
    match term {
        Term::Int(number) => Ok((*number).into()),
        Term::Big(_) => Err("an integer beyond 64 bits"),
        Term::Float(number) => Number::from_f64(*number)
            .map(Value::Number)
            .ok_or("a float"),
        Term::Atom(name) => Ok(match name.as_str() {
            "true" => true.into(),
            "false" => false.into(),
            "undefined" | "null" => Value::Null,
            text => text.into(),
        }),
        Term::Binary(bytes) => std::str::from_utf8(bytes)
            .map(Value::from)
            .map_err(|_| "a binary that is no text"),
        Term::String(bytes)
            if bytes
                .iter()
                .all(|byte| *byte >= 0x20 || *byte == b'\n' || *byte == b'\t') =>
        {
            Ok(bytes
                .iter()
                .copied()
                .map(char::from)
                .collect::<String>()
                .into())
        }
        Term::String(bytes) => Ok(bytes.iter().map(|byte| Value::from(*byte)).collect()),
        Term::List(items) if items.is_empty() => Ok("".into()),
        Term::List(items) => match text(items) {
            Some(text) => Ok(text.into()),
            None => items
                .iter()
                .map(argument)
                .collect::<Result<_, _>>()
                .map(Value::Array),
        },
        Term::Map(map) => map
            .pairs()
            .iter()
            .map(|(key, value)| match argument(key)? {
                Value::String(key) => Ok((key, argument(value)?)),
                _ => Err("a map whose keys are no texts"),
            })
            .collect::<Result<Object<_, _>, _>>()
            .map(Value::Object),
        Term::Tuple(_) => Err("a tuple"),
        Term::Improper(_) => Err("an improper list"),
        Term::Bits(_) => Err("a bit string"),
        Term::Pid(_) | Term::Port(_) | Term::Reference(_) => Err("a pid, port or reference"),
        Term::Fun(_) | Term::Export(_) => Err("a fun"),
    }
}

/// A list of characters beyond Latin-1 that reads as a text.
fn text(items: &[Term]) -> Option<String> {
    let character = |item: &Term| {
        let code = u32::try_from(item.as_int()?).ok()?;
        char::from_u32(code).filter(|c| code >= 0x20 || matches!(c, '\n' | '\t'))
    };
    // A list of numbers that happen to be characters is more often numbers, unless some are letters.
    let text: String = items.iter().map(character).collect::<Option<_>>()?;
    text.chars().any(char::is_alphabetic).then_some(text)
}

/// What a command returned.
pub(super) fn result(value: &Value, results: Results) -> Vec<u8> {
    let term = match (results, value) {
        (Results::Maps, value) => modern(value),
        (Results::Kamailio, Value::Null) => atom("ok"),
        (Results::Kamailio, Value::Array(items)) if items.is_empty() => atom("ok"),
        (Results::Kamailio, Value::Array(items)) => Term::List(items.iter().map(classic).collect()),
        (Results::Kamailio, value) => Term::List(vec![classic(value)]),
    };
    to_bytes(&term)
}

/// A fault in Kamailio's shape, a value: `{[{code, 400}, {<<"error">>, <<"text">>}]}`.
pub(super) fn classic_fault(code: i64, message: &str) -> Vec<u8> {
    let pairs = [
        (atom("code"), Term::Int(code)),
        (Term::Binary(b"error".to_vec()), binary(message)),
    ];
    let pairs = pairs.map(|(key, value)| Term::Tuple(vec![key, value]));
    to_bytes(&Term::Tuple(vec![Term::List(pairs.to_vec())]))
}

/// A fault as a reason: `{fault, Code, <<"text">>}`.
pub(super) fn modern_fault(code: i64, message: &str) -> Vec<u8> {
    to_bytes(&Term::Tuple(vec![
        atom("fault"),
        Term::Int(code),
        binary(message),
    ]))
}

/// An object is `{[{<<"key">>, Value}]}`; within an object's list, one of a single key is the pair alone.
fn classic(value: &Value) -> Term {
    match value {
        Value::Object(object) => {
            let pairs = object.iter().map(pair);
            Term::Tuple(vec![Term::List(pairs.collect())])
        }
        Value::Array(items) => Term::List(items.iter().map(classic).collect()),
        other => scalar(other),
    }
}

fn pair((key, value): (&String, &Value)) -> Term {
    let item = |item: &Value| match item {
        Value::Object(object) if object.len() == 1 => {
            object.iter().map(pair).next().unwrap_or(Term::NIL)
        }
        item => classic(item),
    };
    let value = match value {
        Value::Array(items) => Term::List(items.iter().map(item).collect()),
        value => classic(value),
    };
    Term::Tuple(vec![binary(key), value])
}

/// An object is a map with binaries as keys.
fn modern(value: &Value) -> Term {
    match value {
        Value::Object(object) => {
            let pairs = object
                .iter()
                .map(|(key, value)| (binary(key), modern(value)));
            Term::Map(Map::from_pairs(pairs.collect()))
        }
        Value::Array(items) => Term::List(items.iter().map(modern).collect()),
        other => scalar(other),
    }
}

fn scalar(value: &Value) -> Term {
    match value {
        Value::Bool(true) => atom("true"),
        Value::Bool(false) => atom("false"),
        Value::String(text) => binary(text),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => Term::Int(number),
            (_, Some(number), _) => Big::integer(false, &number.to_le_bytes()),
            (.., Some(number)) => Term::Float(number),
            _ => Term::Atom(Atom::from_static("null")),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => atom("null"),
    }
}

fn binary(text: &str) -> Term {
    Term::Binary(text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use switchhook_term::{decode, parse};

    fn read(text: &str) -> Result<Vec<Value>, String> {
        arguments(&parse(text).unwrap()).map_err(|fault| fault.message)
    }

    fn show(value: &Value, results: Results) -> String {
        decode(&result(value, results)).unwrap().to_string()
    }

    #[test]
    fn arguments_are_converted_or_refused_by_name() {
        assert_eq!(
            read(r#"["1", <<"b">>, c, 5, 1.5, true, #{k => "v"}, []]"#),
            Ok(vec![
                json!("1"),
                json!("b"),
                json!("c"),
                json!(5),
                json!(1.5),
                json!(true),
                json!({"k": "v"}),
                json!("")
            ])
        );
        assert_eq!(read("[5]"), Ok(vec![json!(5)]));
        assert_eq!(read("[[1, 2]]"), Ok(vec![json!([1, 2])]));
        for (text, what) in [
            ("[a, {b}]", "argument 2: a tuple can't be converted"),
            (
                "[<<255>>]",
                "argument 1: a binary that is no text can't be converted",
            ),
            ("{a}", "expected a list of arguments"),
        ] {
            assert_eq!(read(text), Err(what.to_owned()));
        }
    }

    #[test]
    fn results_look_as_users_of_kamailios_module_know_them() {
        let classic = |value| show(&value, Results::Kamailio);
        assert_eq!(
            classic(json!("switchhook 0.1.0")),
            r#"[<<"switchhook 0.1.0">>]"#
        );
        assert_eq!(classic(json!([])), "ok");
        assert_eq!(
            classic(json!({"NRSETS": 2, "up": [1, {"a": null}, {"b": 1, "c": 2}]})),
            r#"[{[{<<"NRSETS">>,2},{<<"up">>,[1,{<<"a">>,null},{[{<<"b">>,1},{<<"c">>,2}]}]}]}]"#
        );
        let fault = decode(&classic_fault(400, "bad")).unwrap().to_string();
        assert_eq!(fault, r#"{[{code,400},{<<"error">>,<<"bad">>}]}"#);
    }

    /// What Kamailio 5.6.3 answered to an Erlang node: each result, taken apart into the JSON that a command of ours would give, is that
    /// result again.
    #[test]
    fn results_have_the_shape_that_kamailios_had() {
        let Some(folder) = switchhook_tests::shared_data("erlang-transcripts") else {
            return;
        };
        let text = std::fs::read_to_string(folder.join("03-rpc-oldstyle.node1.log")).unwrap();
        let mut told = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix("=> ")) {
            let Ok(theirs) = parse(line) else {
                continue; // a pid or a text that the log cut short
            };
            let (ours, value) = match &theirs {
                Term::Tuple(_) => match json(&theirs) {
                    Some(Value::Object(fault)) if fault.contains_key("code") => {
                        let message = fault["error"].as_str().unwrap();
                        let code = fault["code"].as_i64().unwrap();
                        (classic_fault(code, message), Value::Object(fault))
                    }
                    _ => continue,
                },
                Term::List(items) => match json(&theirs) {
                    Some(Value::Array(mut list)) => {
                        let one = items.len() == 1 && !list[0].is_array();
                        let value = if one { list.remove(0) } else { list.into() };
                        (result(&value, Results::Kamailio), value)
                    }
                    _ => continue,
                },
                Term::Atom(ok) if *ok == "ok" => (result(&json!([]), Results::Kamailio), json!([])),
                _ => continue,
            };
            assert_eq!(sorted(decode(&ours).unwrap()), sorted(theirs), "{value}");
            told += 1;
        }
        assert!(told > 30, "{told}");
    }

    /// The JSON of a result; none where a key is there twice or a binary is no text.
    fn json(term: &Term) -> Option<Value> {
        match term {
            Term::Int(number) => Some((*number).into()),
            Term::Float(number) => Some((*number).into()),
            Term::Binary(bytes) => Some(std::str::from_utf8(bytes).ok()?.into()),
            Term::List(items) => items.iter().map(json).collect(),
            Term::Tuple(parts) => match &parts[..] {
                [Term::List(pairs)] => object(pairs),
                [Term::Binary(_), _] => object(std::slice::from_ref(term)),
                _ => None,
            },
            _ => None,
        }
    }

    fn object(pairs: &[Term]) -> Option<Value> {
        let mut object = Object::new();
        for pair in pairs {
            let [key, value] = pair.as_tuple()? else {
                return None;
            };
            let key = key.as_text()?.into_owned();
            if object.insert(key, json(value)?).is_some() {
                return None;
            }
        }
        Some(Value::Object(object))
    }

    /// The order of keys is each side's own.
    fn sorted(term: Term) -> Term {
        match term {
            Term::Tuple(parts) => match <[Term; 1]>::try_from(parts) {
                Ok([Term::List(pairs)]) => {
                    let mut pairs: Vec<Term> = pairs.into_iter().map(sorted).collect();
                    pairs.sort();
                    Term::Tuple(vec![Term::List(pairs)])
                }
                Ok([other]) => Term::Tuple(vec![sorted(other)]),
                Err(parts) => Term::Tuple(parts.into_iter().map(sorted).collect()),
            },
            Term::List(items) => Term::List(items.into_iter().map(sorted).collect()),
            other => other,
        }
    }

    #[test]
    fn results_are_maps_where_that_is_configured() {
        let modern = |value| show(&value, Results::Maps);
        assert_eq!(
            modern(json!({"a": [1, true, 18446744073709551615u64]})),
            r##"#{<<"a">> => [1,true,18446744073709551615]}"##
        );
        assert_eq!(modern(json!([])), "[]");
    }
}
