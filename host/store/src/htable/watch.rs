//! Who is told of a table's changes, and changes that come from elsewhere.
//!
//! A write made here is told to the table's watch, under the lock of its key: what is told of one key is told in the order in which it
//! happened. A write through [`Htable::replica`] is not told, so a change that came from another node does not go back.

use std::time::{Duration, Instant};

use super::{Htable, HtableError, Told, Value};

/// A change that was made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written<'a> {
    /// A key was set.
    Set {
        /// The key.
        key: &'a str,
        /// Its value now.
        value: &'a Value,
        /// How long it lives; zero: for ever.
        life: Duration,
    },
    /// A number was added to a key.
    Add {
        /// The key.
        key: &'a str,
        /// What was added.
        delta: i64,
        /// Its value now.
        sum: i64,
        /// How long it lives; zero: for ever.
        life: Duration,
    },
    /// A key was given another life.
    Expire {
        /// The key.
        key: &'a str,
        /// From now on; zero: for ever.
        life: Duration,
    },
    /// A key was removed.
    Remove {
        /// The key.
        key: &'a str,
    },
    /// Every key was removed that begins so.
    RemovePrefix {
        /// How they begin.
        prefix: &'a str,
    },
    /// Every key was removed that matches: `*` is any text, `?` any character.
    RemoveMatching {
        /// The pattern.
        pattern: &'a str,
    },
}

/// Is told of changes. It is called under a lock of the table: it must be quick, and must not use the table.
pub trait Watch: Send + Sync {
    /// A table has changed.
    fn written(&self, table: &str, written: Written<'_>);
}

/// An item with an end of its own.
struct Put(Option<Instant>);

impl Told for Put {
    fn told<'a>(&self, key: &'a str, value: &'a Value, life: Duration) -> Written<'a> {
        Written::Set { key, value, life }
    }

    fn end(&self, _: Instant, _: Duration) -> Option<Instant> {
        self.0
    }
}

/// A table as another node's changes see it: nobody is told of them.
#[derive(Debug, Clone, Copy)]
pub struct Replica<'a>(pub(super) &'a Htable);

impl Replica<'_> {
    /// As [`Htable::set`].
    pub fn set(
        self,
        now: Instant,
        key: &str,
        value: &Value,
        ttl: Option<Duration>,
    ) -> Result<(), HtableError> {
        let life = ttl.unwrap_or(self.0.config.expire);
        self.0
            .write(now, key, false, |_| Ok((value.clone(), life, ())))
    }

    /// Sets a value with a life of which only so much is left; `None`: it does not end.
    pub fn put(
        self,
        now: Instant,
        key: &str,
        value: &Value,
        life: Duration,
        left: Option<Duration>,
    ) -> Result<(), HtableError> {
        let end = left.and_then(|left| now.checked_add(left));
        let put = self
            .0
            .write(now, key, false, |_| Ok((value.clone(), life, Put(end))));
        put.map(drop)
    }

    /// As [`Htable::expire`].
    pub fn expire(self, now: Instant, key: &str, ttl: Duration) -> bool {
        self.0.renew(now, key, ttl, false)
    }

    /// As [`Htable::remove`].
    pub fn remove(self, key: &str) -> bool {
        self.0.take_out(key, false)
    }

    /// Removes every item that `gone` says is; tells how many.
    pub fn remove_if(self, gone: impl Fn(&str, &Value) -> bool) -> usize {
        self.0.remove_if(|key, item| gone(key, &item.value))
    }
}

impl Htable {
    /// The table as another node's changes see it.
    pub fn replica(&self) -> Replica<'_> {
        Replica(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::TableConfig;
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Watch for Heard {
        fn written(&self, table: &str, written: Written<'_>) {
            self.0.lock().unwrap().push(format!("{table}: {written:?}"));
        }
    }

    #[test]
    fn what_is_written_here_is_told_and_what_came_from_elsewhere_is_not() {
        let told = Arc::new(Heard::default());
        let config = TableConfig {
            name: "t".into(),
            ..TableConfig::default()
        };
        let mut table = Htable::new(config);
        table.watch(Arc::clone(&told) as Arc<dyn Watch>);
        let now = Instant::now();
        let second = Duration::from_secs(1);
        table.set(now, "a", "x", Some(second)).unwrap();
        assert_eq!(table.add(now, "n", 2), Ok(2));
        assert!(table.expire(now, "a", second * 2));
        assert!(!table.expire(now, "absent", second) && !table.remove("absent"));
        assert!(table.remove("a"));
        table.remove_prefix("n");
        table.remove_matching("*");
        let replica = table.replica();
        replica.set(now, "b", &Value::Integer(1), None).unwrap();
        assert!(replica.expire(now, "b", second));
        assert_eq!(
            replica.remove_if(|key, value| key == "b" && *value == Value::Integer(1)),
            1
        );
        assert!(!replica.remove("b"));
        replica
            .put(now, "c", &Value::Integer(1), second * 9, Some(second))
            .unwrap();
        assert!(table.get(now, "c").is_some() && table.get(now + second, "c").is_none());
        assert!(table.replica().remove("c"));
        let told = told.0.lock().unwrap().clone();
        assert_eq!(
            told,
            [
                r#"t: Set { key: "a", value: Text("x"), life: 1s }"#,
                r#"t: Add { key: "n", delta: 2, sum: 2, life: 0ns }"#,
                r#"t: Expire { key: "a", life: 2s }"#,
                r#"t: Remove { key: "a" }"#,
                r#"t: RemovePrefix { prefix: "n" }"#,
                r#"t: RemoveMatching { pattern: "*" }"#,
            ]
        );
    }
}
