//! `htable`: shared tables, behind the effects.

use switchhook_bindings::switchhook::script::htable::{Host, Value};

use super::Answered;
use crate::context::Context;

impl Host for Context {
    fn get(&mut self, table: String, key: String) -> Answered<Option<Value>> {
        self.enter(table.len() + key.len())?;
        let value = self.effects().htable_get(&table, &key);
        self.copy(value.iter().flatten().map(size).sum())?;
        Ok(value)
    }

    fn set(&mut self, table: String, key: String, value: Value, ttl: u32) -> Answered<()> {
        self.enter(table.len() + key.len() + size(&value))?;
        Ok(self.effects().htable_set(&table, &key, value, ttl))
    }

    fn add(&mut self, table: String, key: String, delta: i64) -> Answered<i64> {
        self.enter(table.len() + key.len())?;
        Ok(self.effects().htable_add(&table, &key, delta))
    }

    fn expire(&mut self, table: String, key: String, ttl: u32) -> Answered<bool> {
        self.enter(table.len() + key.len())?;
        Ok(self.effects().htable_expire(&table, &key, ttl))
    }

    fn remove(&mut self, table: String, key: String) -> Answered<bool> {
        self.enter(table.len() + key.len())?;
        Ok(self.effects().htable_remove(&table, &key))
    }

    fn remove_prefix(&mut self, table: String, prefix: String) -> Answered<u32> {
        self.enter(table.len() + prefix.len())?;
        Ok(self.effects().htable_remove_prefix(&table, &prefix))
    }

    fn size(&mut self, table: String) -> Answered<u32> {
        self.enter(table.len())?;
        Ok(self.effects().htable_size(&table))
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Integer(_) => 0,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
    }
}
