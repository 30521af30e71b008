//! Shared hash tables: `$sht(table=>key)`. Named, declared in the config, seen alike by all scripts and lanes.
//!
//! Owns keys, values and their lives. Safe from every lane: a table is spread over [`SHARDS`] locks, one key changes in one
//! step. Time is passed in; nobody sees an item whose life is over, and [`Htable::sweep`] frees it: call that about once a
//! second, each call frees in one part of each table.
//!
//! A write gives an item its life anew, its own where it was given one, else the table's (Kamailio's `updateexpire`).
//!
//! Limits, for each table: items, bytes of keys and values together, [`MAX_KEY`]. When one is reached, what is over is freed at
//! once (at most once a second); if that does not help, the write is refused and nothing changes. Nothing is ever pushed out.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many locks a table has.
pub const SHARDS: usize = 32;
/// The longest key, in bytes.
pub const MAX_KEY: usize = 1024;

/// An item's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
}

impl Value {
    fn len(&self) -> usize {
        match self {
            Self::Integer(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// One `[[htable]]` of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableConfig {
    /// Its name.
    pub name: String,
    /// How long an item lives that was given no life of its own; zero: for ever.
    pub expire: Duration,
    /// The most items.
    pub max_items: usize,
    /// The most bytes of keys and values together.
    pub max_bytes: usize,
}

impl Default for TableConfig {
    /// Nameless, for ever, 100 000 items, 64 MiB.
    fn default() -> Self {
        Self {
            name: String::new(),
            expire: Duration::ZERO,
            max_items: 100_000,
            max_bytes: 64 << 20,
        }
    }
}

/// A write that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HtableError {
    /// A limit of the table is reached.
    #[error("table `{table}`: expected at most {limit} {what}")]
    Full {
        /// The table.
        table: Box<str>,
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// A key that is too long.
    #[error("key: expected at most {MAX_KEY} bytes, got {0}")]
    Key(usize),
    /// A number was to be added to something that is none.
    #[error("key `{0}`: expected an integer, got another kind of value")]
    NotInteger(Box<str>),
    /// The sum does not fit.
    #[error("key `{0}`: expected a sum within 64 bits")]
    Overflow(Box<str>),
}

/// All tables by name.
#[derive(Debug, Default)]
pub struct Htables {
    tables: BTreeMap<Box<str>, Htable>,
}

impl Htables {
    /// Tables as declared. Of two with one name, the later counts.
    pub fn new(configs: impl IntoIterator<Item = TableConfig>) -> Self {
        let tables = configs
            .into_iter()
            .map(|config| (config.name.as_str().into(), Htable::new(config)));
        Self {
            tables: tables.collect(),
        }
    }

    /// The table of that name.
    pub fn table(&self, name: &str) -> Option<&Htable> {
        self.tables.get(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(|name| &**name)
    }

    /// [`Htable::sweep`] of each table.
    pub fn sweep(&self, now: Instant) -> usize {
        self.tables.values().map(|table| table.sweep(now)).sum()
    }
}

/// One table. See the module's header.
#[derive(Debug)]
pub struct Htable {
    config: TableConfig,
    shards: Box<[Mutex<Shard>]>,
    hasher: ahash::RandomState,
    items: AtomicUsize,
    bytes: AtomicUsize,
    /// The shard that is swept next.
    turn: AtomicUsize,
    /// When all were swept because the table was full.
    swept: Mutex<Option<Instant>>,
}

type Shard = HashMap<Box<str>, Item, ahash::RandomState>;

#[derive(Debug)]
struct Item {
    value: Value,
    end: Option<Instant>,
    /// What a write renews; zero: for ever.
    life: Duration,
}

impl Item {
    fn is_live(&self, now: Instant) -> bool {
        self.end.is_none_or(|end| end > now)
    }
}

impl Htable {
    /// An empty table.
    pub fn new(config: TableConfig) -> Self {
        let hasher = ahash::RandomState::new();
        Self {
            shards: (0..SHARDS)
                .map(|_| Mutex::new(Shard::with_hasher(hasher.clone())))
                .collect(),
            hasher,
            config,
            items: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
            swept: Mutex::default(),
        }
    }

    /// As it was declared.
    pub fn config(&self) -> &TableConfig {
        &self.config
    }

    /// The value of a key.
    pub fn get(&self, now: Instant, key: &str) -> Option<Value> {
        let shard = self.shard(key);
        let item = shard.get(key).filter(|item| item.is_live(now))?;
        Some(item.value.clone())
    }

    /// Sets a value, with a life of its own or the table's.
    pub fn set(
        &self,
        now: Instant,
        key: &str,
        value: impl Into<Value>,
        ttl: Option<Duration>,
    ) -> Result<(), HtableError> {
        let value = value.into();
        let life = ttl.unwrap_or(self.config.expire);
        let write = |_: Option<&Item>| Ok((value.clone(), life, ()));
        self.write(now, key, write)
    }

    /// Adds to an integer and gives the sum; a key that is not there counts as 0.
    pub fn add(&self, now: Instant, key: &str, delta: i64) -> Result<i64, HtableError> {
        self.write(now, key, |item| {
            let (before, life) = match item {
                None => (0, self.config.expire),
                Some(Item {
                    value: Value::Integer(number),
                    life,
                    ..
                }) => (*number, *life),
                Some(_) => return Err(HtableError::NotInteger(key.into())),
            };
            let sum = before.checked_add(delta);
            let sum = sum.ok_or_else(|| HtableError::Overflow(key.into()))?;
            Ok((Value::Integer(sum), life, sum))
        })
    }

    /// Gives a key another life from now on, zero for ever; tells whether it is there.
    pub fn expire(&self, now: Instant, key: &str, ttl: Duration) -> bool {
        let mut shard = self.shard(key);
        let item = shard.get_mut(key).filter(|item| item.is_live(now));
        let Some(item) = item else {
            return false;
        };
        (item.life, item.end) = (ttl, end(now, ttl));
        true
    }

    /// Removes a key; tells whether it was there.
    pub fn remove(&self, key: &str) -> bool {
        let removed = self.shard(key).remove_entry(key);
        if let Some((key, item)) = &removed {
            self.forget(1, cost(key, &item.value));
        }
        removed.is_some()
    }

    /// Removes every key that begins so; tells how many.
    pub fn remove_prefix(&self, prefix: &str) -> usize {
        self.remove_if(|key, _| key.starts_with(prefix))
    }

    /// Removes every key that matches a pattern, in which `*` stands for any text and `?` for any one character.
    pub fn remove_matching(&self, pattern: &str) -> usize {
        self.remove_if(|key, _| matches(pattern, key))
    }

    /// How many keys begin so.
    pub fn count_prefix(&self, now: Instant, prefix: &str) -> usize {
        let mut count = 0;
        self.each(now, |key, _, _| {
            count += usize::from(key.starts_with(prefix))
        });
        count
    }

    /// How many items are alive.
    pub fn len(&self, now: Instant) -> usize {
        self.count_prefix(now, "")
    }

    /// True where none is.
    pub fn is_empty(&self, now: Instant) -> bool {
        self.len(now) == 0
    }

    /// Every item that is alive and how long it still lives, in no order. Holds one lock at a time, so what changes meanwhile
    /// may or may not be seen. `each` must not use this table.
    pub fn each(&self, now: Instant, mut each: impl FnMut(&str, &Value, Option<Duration>)) {
        for lock in &self.shards {
            let shard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, item) in shard.iter().filter(|(_, item)| item.is_live(now)) {
                let left = item.end.map(|end| end.saturating_duration_since(now));
                each(key, &item.value, left);
            }
        }
    }

    /// Frees items whose life is over in one part of the table, another at each call; tells how many.
    pub fn sweep(&self, now: Instant) -> usize {
        let at = self.turn.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let lock = self.shards.get(at);
        lock.map_or(0, |lock| self.retain(lock, |_, item| item.is_live(now)))
    }

    /// One key in one step: `write` sees the item that is alive, and gives value, life and result.
    fn write<R>(
        &self,
        now: Instant,
        key: &str,
        write: impl Fn(Option<&Item>) -> Result<(Value, Duration, R), HtableError>,
    ) -> Result<R, HtableError> {
        if key.len() > MAX_KEY {
            return Err(HtableError::Key(key.len()));
        }
        match self.try_write(now, key, &write) {
            Err(HtableError::Full { .. }) if self.sweep_all(now) => {
                self.try_write(now, key, &write)
            }
            done => done,
        }
    }

    fn try_write<R>(
        &self,
        now: Instant,
        key: &str,
        write: impl Fn(Option<&Item>) -> Result<(Value, Duration, R), HtableError>,
    ) -> Result<R, HtableError> {
        let mut shard = self.shard(key);
        let old = shard.get(key);
        let (value, life, result) = write(old.filter(|item| item.is_live(now)))?;
        let before = old.map_or(0, |item| cost(key, &item.value));
        let items = usize::from(old.is_none());
        self.take("items", &self.items, self.config.max_items, 0, items)?;
        self.take(
            "bytes",
            &self.bytes,
            self.config.max_bytes,
            before,
            cost(key, &value),
        )
        .inspect_err(|_| self.forget(items, 0))?;
        let item = Item {
            value,
            end: end(now, life),
            life,
        };
        match shard.entry(key.into()) {
            Entry::Occupied(mut old) => {
                old.insert(item);
            }
            Entry::Vacant(place) => {
                place.insert(item);
            }
        }
        Ok(result)
    }

    /// Takes `before` from a count and adds `after`. One that does not grow is never refused.
    fn take(
        &self,
        what: &'static str,
        count: &AtomicUsize,
        limit: usize,
        before: usize,
        after: usize,
    ) -> Result<(), HtableError> {
        let next = |count: usize| {
            let next = count.saturating_sub(before) + after;
            (after <= before || next <= limit).then_some(next)
        };
        count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .map(drop)
            .map_err(|_| HtableError::Full {
                table: self.config.name.as_str().into(),
                what,
                limit,
            })
    }

    fn forget(&self, items: usize, bytes: usize) {
        self.items.fetch_sub(items, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn remove_if(&self, gone: impl Fn(&str, &Item) -> bool) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|lock| self.retain(lock, |key, item| !gone(key, item)))
            .sum()
    }

    fn retain(&self, lock: &Mutex<Shard>, keep: impl Fn(&str, &Item) -> bool) -> usize {
        let mut shard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut items, mut bytes) = (0, 0);
        shard.retain(|key, item| {
            let keep = keep(key, item);
            if !keep {
                items += 1;
                bytes += cost(key, &item.value);
            }
            keep
        });
        self.forget(items, bytes);
        items
    }

    /// Frees all that is over, unless that was just done. Tells whether anything was freed.
    fn sweep_all(&self, now: Instant) -> bool {
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            let again = swept.is_some_and(|at| now < at + Duration::from_secs(1));
            if again {
                return false;
            }
            *swept = Some(now);
        }
        self.remove_if(|_, item| !item.is_live(now)) > 0
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the remainder is below the number of shards"
    )]
    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        // The low bits and the top seven place a key within its shard.
        let lock = &self.shards[(self.hasher.hash_one(key) >> 32) as usize % SHARDS];
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(key: &str, value: &Value) -> usize {
    key.len() + value.len()
}

fn end(now: Instant, life: Duration) -> Option<Instant> {
    if life.is_zero() {
        return None;
    }
    // A life too long for the clock is for ever.
    now.checked_add(life)
}

/// `*` and `?` patterns, in time proportional to both lengths at worst.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Behind the last `*`, and where in the text it was tried.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let (mut next_pattern, mut next_text) = (pattern.clone(), text.clone());
        match (next_pattern.next(), next_text.next()) {
            (Some('*'), _) => {
                pattern = next_pattern;
                retry = Some((pattern.clone(), text.clone()));
                continue;
            }
            (Some(p), Some(t)) if p == '?' || p == t => {
                (pattern, text) = (next_pattern, next_text);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((behind, tried)) = &mut retry else {
            return false;
        };
        if tried.next().is_none() {
            return false;
        }
        (pattern, text) = (behind.clone(), tried.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(max_items: usize, max_bytes: usize, expire: u64) -> Htable {
        Htable::new(TableConfig {
            name: "t".into(),
            expire: Duration::from_secs(expire),
            max_items,
            max_bytes,
        })
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn items_live_their_time() {
        let (table, start) = (table(10, 1000, 60), Instant::now());
        table.set(start, "a", text("x"), None).unwrap();
        table
            .set(start, "b", Value::Integer(1), Some(Duration::from_secs(5)))
            .unwrap();
        table
            .set(
                start,
                "c",
                Value::Bytes([1, 2].into()),
                Some(Duration::ZERO),
            )
            .unwrap();
        assert_eq!(table.get(at(start, 4), "b"), Some(Value::Integer(1)));
        assert_eq!(table.get(at(start, 5), "b"), None);
        assert_eq!(table.len(at(start, 5)), 2);
        assert!(table.expire(at(start, 50), "a", Duration::from_secs(100)));
        assert_eq!(table.get(at(start, 149), "a"), Some(text("x")));
        assert!(!table.expire(at(start, 150), "a", Duration::from_secs(100)));
        let forever = at(start, 1_000_000);
        assert_eq!(table.get(forever, "c"), Some(Value::Bytes([1, 2].into())));
        let swept: usize = (0..SHARDS).map(|_| table.sweep(forever)).sum();
        assert_eq!(swept, 2);
        assert_eq!(table.items.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_counter_counts_and_lives_on_with_each_call() {
        let (table, start) = (table(10, 1000, 60), Instant::now());
        assert_eq!(table.add(start, "n", 1), Ok(1));
        assert_eq!(table.add(at(start, 50), "n", 2), Ok(3));
        assert_eq!(table.add(at(start, 100), "n", -4), Ok(-1));
        assert_eq!(table.add(at(start, 160), "n", 7), Ok(7), "it began again");
        table.set(start, "t", text("x"), None).unwrap();
        let error = table.add(start, "t", 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "key `t`: expected an integer, got another kind of value"
        );
        table
            .set(start, "m", Value::Integer(i64::MAX), None)
            .unwrap();
        assert!(matches!(
            table.add(start, "m", 1),
            Err(HtableError::Overflow(_))
        ));
        assert_eq!(table.get(start, "m"), Some(Value::Integer(i64::MAX)));
    }

    #[test]
    fn a_full_table_refuses_until_something_ends() {
        let (table, start) = (table(2, 1000, 60), Instant::now());
        table.set(start, "a", text("1"), None).unwrap();
        table
            .set(start, "b", text("2"), Some(Duration::ZERO))
            .unwrap();
        let full = table.set(start, "c", text("3"), None).unwrap_err();
        assert_eq!(full.to_string(), "table `t`: expected at most 2 items");
        table.set(start, "a", text("4"), None).unwrap();
        assert!(table.remove("b") && !table.remove("b"));
        table.set(start, "c", text("3"), None).unwrap();
        table.set(at(start, 61), "d", text("5"), None).unwrap();
        assert_eq!(table.get(at(start, 61), "a"), None);
    }

    #[test]
    fn bytes_are_limited_too() {
        let (table, start) = (table(10, 20, 0), Instant::now());
        table.set(start, "key1", text("0123456789"), None).unwrap();
        let full = table.set(start, "key2", text("0123"), None).unwrap_err();
        assert!(matches!(
            full,
            HtableError::Full {
                what: "bytes",
                limit: 20,
                ..
            }
        ));
        assert_eq!(table.items.load(Ordering::Relaxed), 1);
        table.set(start, "key1", text("0"), None).unwrap();
        table.set(start, "key2", text("0123"), None).unwrap();
        let long = "k".repeat(MAX_KEY + 1);
        assert_eq!(
            table.set(start, &long, text(""), None),
            Err(HtableError::Key(1025))
        );
    }

    #[test]
    fn keys_go_by_prefix_or_pattern() {
        let (table, start) = (table(100, 10_000, 0), Instant::now());
        let fill = || {
            for key in ["ip:1", "ip:2", "ip:10", "user:1", "ip", "ÿip:1"] {
                table.set(start, key, Value::Integer(1), None).unwrap();
            }
        };
        fill();
        assert_eq!(table.count_prefix(start, "ip:"), 3);
        assert_eq!(table.remove_prefix("ip:"), 3);
        assert_eq!(table.len(start), 3);
        fill();
        assert_eq!(table.remove_matching("?ip:*"), 1);
        assert_eq!(table.remove_matching("*:1*"), 3);
        assert_eq!(table.remove_matching("*"), 2);
        assert!(table.is_empty(start));
        assert_eq!(table.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn tables_are_found_by_name() {
        let of = |name: &str| TableConfig {
            name: name.into(),
            ..TableConfig::default()
        };
        let tables = Htables::new([of("b"), of("a")]);
        assert_eq!(tables.names().collect::<Vec<_>>(), ["a", "b"]);
        let now = Instant::now();
        let table = tables.table("a").unwrap();
        table
            .set(now, "x", text("y"), Some(Duration::from_secs(1)))
            .unwrap();
        let mut all = Vec::new();
        table.each(now, |key, value, left| {
            all.push((key.to_owned(), value.clone(), left))
        });
        assert_eq!(
            all,
            [("x".to_owned(), text("y"), Some(Duration::from_secs(1)))]
        );
        assert!(tables.table("c").is_none());
        let swept: usize = (0..SHARDS).map(|_| tables.sweep(at(now, 1))).sum();
        assert_eq!(swept, 1);
    }

    #[test]
    fn no_count_is_lost_between_lanes() {
        let (table, start) = (table(10, 1000, 60), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        table.add(start, "n", 1).unwrap();
                    }
                });
            }
        });
        assert_eq!(table.get(start, "n"), Some(Value::Integer(4000)));
    }

    /// The slow and plain way.
    fn plain(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', p @ ..], _) => {
                plain(p, text) || matches!(text, [_, t @ ..] if plain(pattern, t))
            }
            (['?', p @ ..], [_, t @ ..]) => plain(p, t),
            ([a, p @ ..], [b, t @ ..]) => a == b && plain(p, t),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_they_should(pattern in "[ab*?é]{0,8}", text in "[abé]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), plain(&chars(&pattern), &chars(&text)));
        }

        /// Against a plain map, and the counts are those of what is there.
        #[test]
        fn it_does_what_a_plain_map_does(steps in prop::collection::vec((0u8..6, "[abc]{1,2}", 0u64..50), 1..100)) {
            let (table, start) = (table(5, 1000, 30), Instant::now());
            let mut model = BTreeMap::<String, (i64, u64)>::new();
            let mut seconds = 0;
            for (kind, key, n) in steps {
                seconds += n / 10;
                let now = at(start, seconds);
                model.retain(|_, (_, end)| *end > seconds);
                let room = model.contains_key(&key) || model.len() < 5;
                match kind {
                    0 | 1 => {
                        let result = table.add(now, &key, n as i64);
                        let expected = model.get(&key).map_or(0, |m| m.0) + n as i64;
                        // A full table frees what is over at most once a second.
                        if let Ok(sum) = result {
                            prop_assert!(room);
                            prop_assert_eq!(sum, expected);
                            model.insert(key, (sum, seconds + 30));
                        }
                    }
                    2 => {
                        if table.set(now, &key, Value::Integer(n as i64), None).is_ok() {
                            prop_assert!(room);
                            model.insert(key, (n as i64, seconds + 30));
                        }
                    }
                    3 => {
                        table.remove(&key);
                        model.remove(&key);
                    }
                    4 => {
                        table.remove_prefix(&key);
                        model.retain(|k, _| !k.starts_with(&key));
                    }
                    _ => { table.sweep(now); }
                }
                let mut all = BTreeMap::new();
                table.each(now, |key, value, _| { all.insert(key.to_owned(), value.clone()); });
                let expected: BTreeMap<_, _> = model.iter().map(|(k, m)| (k.clone(), Value::Integer(m.0))).collect();
                prop_assert_eq!(all, expected);
            }
            let kept = table.items.load(Ordering::Relaxed);
            prop_assert_eq!(table.remove_matching("*"), kept);
            prop_assert_eq!((table.items.load(Ordering::Relaxed), table.bytes.load(Ordering::Relaxed)), (0, 0));
        }
    }
}
