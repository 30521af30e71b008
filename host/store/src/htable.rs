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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod watch;

pub use watch::{Replica, Watch, Written};

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

    /// Has a table's changes told to somebody. `false` where there is no such table.
    pub fn watch(&mut self, name: &str, watch: Arc<dyn Watch>) -> bool {
        let table = self.tables.get_mut(name);
        table.map(|table| table.watch(watch)).is_some()
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
pub struct Htable {
    config: TableConfig,
    watch: Option<Arc<dyn Watch>>,
    shards: Box<[Mutex<Shard>]>,
    hasher: ahash::RandomState,
    items: AtomicUsize,
    bytes: AtomicUsize,
    /// The shard that is swept next.
    turn: AtomicUsize,
    /// When all were swept because the table was full.
    swept: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Htable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Htable")
            .field("config", &self.config)
            .field("items", &self.items)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
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

    fn left(&self, now: Instant) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(now))
    }
}

/// How a write is told, by what it results in.
trait Told {
    fn told<'a>(&self, key: &'a str, value: &'a Value, life: Duration) -> Written<'a>;

    /// When the item ends that was written.
    fn end(&self, now: Instant, life: Duration) -> Option<Instant> {
        end(now, life)
    }
}

impl Told for () {
    fn told<'a>(&self, key: &'a str, value: &'a Value, life: Duration) -> Written<'a> {
        Written::Set { key, value, life }
    }
}

struct Sum {
    delta: i64,
    sum: i64,
}

impl Told for Sum {
    fn told<'a>(&self, key: &'a str, _: &'a Value, life: Duration) -> Written<'a> {
        let Self { delta, sum } = *self;
        Written::Add {
            key,
            delta,
            sum,
            life,
        }
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
            watch: None,
            items: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
            swept: Mutex::default(),
        }
    }

    /// Has the changes that are made here told to somebody.
    pub fn watch(&mut self, watch: Arc<dyn Watch>) {
        self.watch = Some(watch);
    }

    fn tell(&self, written: Written<'_>) {
        if let Some(watch) = &self.watch {
            watch.written(&self.config.name, written);
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

    /// The value of a key, and how long it still lives.
    pub fn item(&self, now: Instant, key: &str) -> Option<(Value, Option<Duration>)> {
        let shard = self.shard(key);
        let item = shard.get(key).filter(|item| item.is_live(now))?;
        Some((item.value.clone(), item.left(now)))
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
        self.write(now, key, true, write)
    }

    /// Adds to an integer and gives the sum; a key that is not there counts as 0.
    pub fn add(&self, now: Instant, key: &str, delta: i64) -> Result<i64, HtableError> {
        self.write(now, key, true, |item| {
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
            Ok((Value::Integer(sum), life, Sum { delta, sum }))
        })
        .map(|Sum { sum, .. }| sum)
    }

    /// Gives a key another life from now on, zero for ever; tells whether it is there.
    pub fn expire(&self, now: Instant, key: &str, ttl: Duration) -> bool {
        self.renew(now, key, ttl, true)
    }

    fn renew(&self, now: Instant, key: &str, ttl: Duration, told: bool) -> bool {
        let mut shard = self.shard(key);
        let item = shard.get_mut(key).filter(|item| item.is_live(now));
        let Some(item) = item else {
            return false;
        };
        (item.life, item.end) = (ttl, end(now, ttl));
        if told {
            self.tell(Written::Expire { key, life: ttl });
        }
        true
    }

    /// Removes a key; tells whether it was there.
    pub fn remove(&self, key: &str) -> bool {
        self.take_out(key, true)
    }

    fn take_out(&self, key: &str, told: bool) -> bool {
        let mut shard = self.shard(key);
        let Some(item) = shard.remove(key) else {
            return false;
        };
        self.forget(1, cost(key, &item.value));
        if told {
            self.tell(Written::Remove { key });
        }
        true
    }

    /// Removes every key that begins so; tells how many.
    pub fn remove_prefix(&self, prefix: &str) -> usize {
        let removed = self.remove_if(|key, _| key.starts_with(prefix));
        self.tell(Written::RemovePrefix { prefix });
        removed
    }

    /// Removes every key that matches a pattern, in which `*` stands for any text and `?` for any one character.
    pub fn remove_matching(&self, pattern: &str) -> usize {
        let removed = self.remove_if(|key, _| matches(pattern, key));
        self.tell(Written::RemoveMatching { pattern });
        removed
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

    /// How many items there are, those that are over and not freed yet included: read without a lock.
    pub fn items(&self) -> usize {
        self.items.load(Ordering::Relaxed)
    }

    /// True where none is.
    pub fn is_empty(&self, now: Instant) -> bool {
        self.len(now) == 0
    }

    /// Every item that is alive and how long it still lives, in no order. Holds one lock at a time, so what changes meanwhile
    /// may or may not be seen. `each` must not use this table.
    pub fn each(&self, now: Instant, mut each: impl FnMut(&str, &Value, Option<Duration>)) {
        for part in 0..SHARDS {
            self.each_of_part(now, part, &mut each);
        }
    }

    /// The same for one of [`SHARDS`] parts of the table; `false` where there is none of that number.
    pub fn each_of_part(
        &self,
        now: Instant,
        part: usize,
        mut each: impl FnMut(&str, &Value, Option<Duration>),
    ) -> bool {
        let Some(lock) = self.shards.get(part) else {
            return false;
        };
        let shard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, item) in shard.iter().filter(|(_, item)| item.is_live(now)) {
            each(key, &item.value, item.left(now));
        }
        true
    }

    /// Frees items whose life is over in one part of the table, another at each call; tells how many.
    pub fn sweep(&self, now: Instant) -> usize {
        let at = self.turn.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let lock = self.shards.get(at);
        lock.map_or(0, |lock| self.retain(lock, |_, item| item.is_live(now)))
    }

    /// One key in one step: `write` sees the item that is alive, and gives value, life and result.
    fn write<R: Told>(
        &self,
        now: Instant,
        key: &str,
        told: bool,
        write: impl Fn(Option<&Item>) -> Result<(Value, Duration, R), HtableError>,
    ) -> Result<R, HtableError> {
        if key.len() > MAX_KEY {
            return Err(HtableError::Key(key.len()));
        }
        match self.try_write(now, key, told, &write) {
            Err(HtableError::Full { .. }) if self.sweep_all(now) => {
                self.try_write(now, key, told, &write)
            }
            done => done,
        }
    }

    fn try_write<R: Told>(
        &self,
        now: Instant,
        key: &str,
        told: bool,
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
        if told {
            self.tell(result.told(key, &value, life));
        }
        let item = Item {
            value,
            end: result.end(now, life),
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
mod tests;
