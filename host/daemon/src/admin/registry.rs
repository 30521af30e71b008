//! The methods that the daemon offers, in one place: name, arguments, a line of documentation, and what runs.
//!
//! Knows nothing of how a call came in, so that the socket is one way among others. Arguments come by position or by name; each is
//! described, and read into the method's own type.

use super::jsonrpc::Fault;
use crate::config::nearest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One argument.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) doc: &'static str,
}

/// An argument that must be given.
pub(crate) const fn required(name: &'static str, doc: &'static str) -> Param {
    Param {
        name,
        required: true,
        doc,
    }
}

/// An argument that may be left out; those come last.
pub(crate) const fn optional(name: &'static str, doc: &'static str) -> Param {
    Param {
        name,
        required: false,
        doc,
    }
}

type Run<C> = Box<dyn Fn(&C, Value) -> Result<Value, Fault> + Send + Sync>;

/// One method. `C` is what it acts on.
struct Method<C> {
    name: &'static str,
    params: &'static [Param],
    doc: &'static str,
    /// It takes microseconds and waits for nothing.
    short: bool,
    run: Run<C>,
}

/// All methods, by name.
pub(crate) struct Registry<C> {
    methods: BTreeMap<&'static str, Method<C>>,
}

impl<C> Registry<C> {
    pub(crate) fn new() -> Self {
        Self {
            methods: BTreeMap::new(),
        }
    }

    /// Adds a method. `P` is read from the arguments by their names. It may take its time: it runs beside the lanes.
    pub(crate) fn add<P: DeserializeOwned, R: Serialize>(
        &mut self,
        name: &'static str,
        params: &'static [Param],
        doc: &'static str,
        run: impl Fn(&C, P) -> Result<R, Fault> + Send + Sync + 'static,
    ) {
        let run: Run<C> = Box::new(move |context, params| {
            let params = serde_json::from_value(params)
                .map_err(|error| Fault::invalid_params(error.to_string()))?;
            let result = run(context, params)?;
            serde_json::to_value(result).map_err(|error| Fault::internal(error.to_string()))
        });
        self.methods.insert(
            name,
            Method {
                name,
                params,
                doc,
                short: false,
                run,
            },
        );
    }

    /// Adds one that takes microseconds whatever the daemon holds, and waits for nothing.
    pub(crate) fn add_short<P: DeserializeOwned, R: Serialize>(
        &mut self,
        name: &'static str,
        params: &'static [Param],
        doc: &'static str,
        run: impl Fn(&C, P) -> Result<R, Fault> + Send + Sync + 'static,
    ) {
        self.add(name, params, doc, run);
        if let Some(method) = self.methods.get_mut(name) {
            method.short = true;
        }
    }

    /// What each method is, for `core.methods`.
    pub(crate) fn describe(&self) -> Vec<Value> {
        let methods = self.methods.values();
        methods.map(|method| json!({ "name": method.name, "usage": method.usage(), "doc": method.doc, "params": method.params })).collect()
    }

    /// Whether there is a method of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.methods.contains_key(name)
    }

    /// Whether a method takes microseconds and waits for nothing.
    pub(crate) fn is_short(&self, name: &str) -> bool {
        self.methods.get(name).is_some_and(|method| method.short)
    }

    /// Runs a method.
    pub(crate) fn call(
        &self,
        context: &C,
        name: &str,
        params: Option<Value>,
    ) -> Result<Value, Fault> {
        let Some(method) = self.methods.get(name) else {
            let hint = match nearest(name, self.methods.keys().copied()) {
                Some(known) => format!("did you mean {known}?"),
                None => "core.methods lists them".to_owned(),
            };
            return Err(Fault::method_not_found(format!(
                "there is no method {name}; {hint}"
            )));
        };
        let named = method.named(params)?;
        (method.run)(context, Value::Object(named))
    }
}

impl<C> Method<C> {
    /// How it is called: `htable.get TABLE KEY`.
    fn usage(&self) -> String {
        let mut usage = self.name.to_owned();
        for param in self.params {
            let name = param.name.to_uppercase();
            usage.push_str(&if param.required {
                format!(" {name}")
            } else {
                format!(" [{name}]")
            });
        }
        usage
    }

    /// Arguments by name, whichever way they came.
    fn named(&self, params: Option<Value>) -> Result<Map<String, Value>, Fault> {
        let wrong =
            |what: String| Fault::invalid_params(format!("{what}; expected {}", self.usage()));
        let named = match params {
            None => Map::new(),
            Some(Value::Array(values)) if values.len() > self.params.len() => {
                return Err(wrong(format!("{} arguments", values.len())));
            }
            Some(Value::Array(values)) => self
                .params
                .iter()
                .zip(values)
                .map(|(param, value)| (param.name.to_owned(), value))
                .collect(),
            Some(Value::Object(named)) => named,
            Some(_) => {
                return Err(wrong(
                    "arguments that are neither an array nor an object".to_owned(),
                ));
            }
        };
        if let Some(unknown) = named
            .keys()
            .find(|name| self.params.iter().all(|param| param.name != name.as_str()))
        {
            return Err(wrong(format!("unknown argument `{unknown}`")));
        }
        match self
            .params
            .iter()
            .find(|param| param.required && !named.contains_key(param.name))
        {
            Some(missing) => Err(wrong(format!("`{}` is missing", missing.name))),
            None => Ok(named),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Repeat {
        text: String,
        times: Option<usize>,
    }

    fn registry() -> Registry<String> {
        let mut registry = Registry::new();
        let params = const { &[required("text", "what"), optional("times", "how often")] };
        registry.add(
            "test.repeat",
            params,
            "Repeats.",
            |before: &String, args: Repeat| {
                Ok(format!(
                    "{before}{}",
                    args.text.repeat(args.times.unwrap_or(1))
                ))
            },
        );
        registry
    }

    fn call(params: Value) -> Result<Value, Fault> {
        registry().call(&">".to_owned(), "test.repeat", Some(params))
    }

    #[test]
    fn arguments_come_by_position_or_by_name() {
        assert_eq!(call(json!(["a", 2])), Ok(json!(">aa")));
        assert_eq!(call(json!({ "text": "a" })), Ok(json!(">a")));
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (params, expected) in [
            (
                json!([]),
                "`text` is missing; expected test.repeat TEXT [TIMES]",
            ),
            (json!(["a", 2, 3]), "3 arguments"),
            (json!({ "text": "a", "time": 2 }), "unknown argument `time`"),
            (json!(["a", "b"]), "invalid type"),
        ] {
            let fault = call(params).unwrap_err();
            assert_eq!(fault.code, -32602);
            assert!(fault.message.contains(expected), "{}", fault.message);
        }
        let fault = registry()
            .call(&String::new(), "test.repaet", None)
            .unwrap_err();
        assert_eq!(
            (
                fault.code,
                fault.message.contains("did you mean test.repeat")
            ),
            (-32601, true)
        );
    }
}
