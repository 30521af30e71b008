//! `vars`: the transaction's variables, which travel in the event.

use switchhook_bindings::switchhook::script::vars::{Host, Value};
use switchhook_store::vars::{Value as Stored, VarError, Vars};
use wasmtime::Result;

use super::Answered;
use crate::context::Context;
use crate::refusal::of_var;

type Write = fn(&mut Vars, &str, Stored) -> Result<(), VarError>;

impl Host for Context {
    fn get(&mut self, path: String) -> Result<Option<Value>> {
        self.enter(path.len())?;
        let value = self
            .try_event()
            .and_then(|event| event.vars.get(&path))
            .map(lowered);
        self.copy(value.as_ref().map_or(0, size))?;
        Ok(value)
    }

    fn set(&mut self, path: String, value: Value) -> Answered<()> {
        self.write_var("vars.set", &path, value, Vars::set)
    }

    fn push(&mut self, path: String, value: Value) -> Answered<()> {
        self.write_var("vars.push", &path, value, Vars::push)
    }

    fn append(&mut self, path: String, value: Value) -> Answered<()> {
        self.write_var("vars.append", &path, value, Vars::append)
    }

    fn count(&mut self, path: String) -> Result<u32> {
        self.enter(path.len())?;
        Ok(self
            .try_event()
            .map_or(0, |event| event.vars.count(&path) as u32))
    }

    fn remove(&mut self, path: String) -> Result<u32> {
        self.enter(path.len())?;
        Ok(self
            .try_event_mut()
            .map_or(0, |event| event.vars.remove(&path) as u32))
    }

    fn names(&mut self, path: String) -> Result<Vec<String>> {
        self.enter(path.len())?;
        let names = self
            .try_event()
            .map(|event| event.vars.names(&path))
            .unwrap_or_default();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        self.copy(
            names
                .iter()
                .map(|name| name.len() + size_of::<String>())
                .sum(),
        )?;
        Ok(names)
    }
}

impl Context {
    fn write_var(
        &mut self,
        function: &'static str,
        path: &str,
        value: Value,
        write: Write,
    ) -> Answered<()> {
        self.enter(path.len() + size(&value))?;
        Ok(self.event(function).and_then(|event| {
            write(&mut event.vars, path, lifted(value)).map_err(|error| of_var(&error))
        }))
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

fn lifted(value: Value) -> Stored {
    match value {
        Value::Null => Stored::Null,
        Value::Boolean(value) => Stored::Boolean(value),
        Value::Integer(value) => Stored::Integer(value),
        Value::Float(value) => Stored::Float(value),
        Value::Text(text) => Stored::Text(text.into()),
        Value::Bytes(bytes) => Stored::Bytes(bytes.into()),
        Value::Nested => Stored::nested(),
    }
}

fn lowered(value: &Stored) -> Value {
    match value {
        Stored::Null => Value::Null,
        Stored::Boolean(value) => Value::Boolean(*value),
        Stored::Integer(value) => Value::Integer(*value),
        Stored::Float(value) => Value::Float(*value),
        Stored::Text(text) => Value::Text((**text).to_owned()),
        Stored::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        Stored::Nested(_) => Value::Nested,
    }
}
