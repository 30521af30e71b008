//! Variables of a transaction: named values and nested lists of named values, as Kamailio's XAVP.
//!
//! Owns the values and the grammar of their paths: `name`, `name[2]`, `outer=>inner`, `outer[1]=>inner[0]`. Index 0 is
//! the newest of a name where values are pushed. Never shared between transactions, so it knows no lock and no clock.
//! A script decides what goes in, so all is bounded: [`MAX_BYTES`], [`MAX_VALUES`], [`MAX_DEPTH`].

use std::mem::size_of;

/// The most bytes that names and values take together.
pub const MAX_BYTES: usize = 64 * 1024;
/// The most values, nested ones included.
pub const MAX_VALUES: usize = 1024;
/// The most lists inside each other.
pub const MAX_DEPTH: usize = 8;

/// A value at a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// There, but nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// A list of named values.
    Nested(List),
}

impl Value {
    /// An empty list.
    pub fn nested() -> Self {
        Self::Nested(List::default())
    }

    fn size(&self) -> Size {
        match self {
            Self::Text(text) => Size::of(text.len()),
            Self::Bytes(bytes) => Size::of(bytes.len()),
            Self::Nested(list) => list
                .0
                .iter()
                .fold(Size::of(0), |sum, item| sum + item.size()),
            _ => Size::of(0),
        }
    }
}

/// Named values in order; only read from outside, [`Vars`] writes them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List(Vec<Item>);

#[derive(Debug, Clone, PartialEq)]
struct Item {
    name: Box<str>,
    value: Value,
}

impl Item {
    fn size(&self) -> Size {
        self.value.size()
            + Size {
                bytes: self.name.len() + size_of::<Self>(),
                values: 0,
            }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    bytes: usize,
    values: usize,
}

impl Size {
    fn of(bytes: usize) -> Self {
        Self { bytes, values: 1 }
    }
}

impl std::ops::Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            values: self.values + other.values,
        }
    }
}

impl std::ops::Sub for Size {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            values: self.values.saturating_sub(other.values),
        }
    }
}

/// Why a variable was not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VarError {
    /// The path can't be read.
    #[error("variable path `{path}`: expected {expected}")]
    Path {
        /// What came.
        path: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// A part of the path before the last one holds a plain value.
    #[error("variable `{0}`: expected a list of named values, it holds a plain one")]
    NotNested(String),
    /// An index beyond the end.
    #[error("variable `{name}[{index}]`: there are {count} of that name")]
    NoSuchIndex {
        /// The name.
        name: String,
        /// The index that was asked for.
        index: usize,
        /// How many values there are.
        count: usize,
    },
    /// No room.
    #[error(
        "variables: expected at most {MAX_BYTES} bytes in {MAX_VALUES} values, {MAX_DEPTH} deep"
    )]
    Full,
}

/// All variables of one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vars {
    top: List,
    size: Size,
}

impl Vars {
    /// True where nothing is set.
    pub fn is_empty(&self) -> bool {
        self.top.0.is_empty()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.top.0.clear();
        self.size = Size::default();
    }

    /// The value at a path; none too where the path can't be read.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let (outer, last) = Path(path).split().ok()?;
        self.top.reach(outer)?.value(last)
    }

    /// Replaces the value at a path; creates it and its outer lists where absent.
    pub fn set(&mut self, path: &str, value: Value) -> Result<(), VarError> {
        self.write(path, value, Place::Set)
    }

    /// Adds a value before those of that name.
    pub fn push(&mut self, path: &str, value: Value) -> Result<(), VarError> {
        self.write(path, value, Place::Push)
    }

    /// Adds a value after those of that name.
    pub fn append(&mut self, path: &str, value: Value) -> Result<(), VarError> {
        self.write(path, value, Place::Append)
    }

    /// How many values have that name.
    pub fn count(&self, path: &str) -> usize {
        let Ok((outer, last)) = Path(path).split() else {
            return 0;
        };
        self.top
            .reach(outer)
            .map_or(0, |list| list.count(last.name))
    }

    /// Removes the value at a path with an index, all values of the name without; tells how many went.
    pub fn remove(&mut self, path: &str) -> usize {
        let Ok((outer, last)) = Path(path).split() else {
            return 0;
        };
        let Some(list) = self.top.reach_mut(outer) else {
            return 0;
        };
        let (mut seen, mut gone, mut removed) = (0, Size::default(), 0);
        list.0.retain(|item| {
            if *item.name != *last.name {
                return true;
            }
            let here = last.index.is_none_or(|index| index == seen);
            seen += 1;
            if here {
                gone = gone + item.size();
                removed += 1;
            }
            !here
        });
        self.size = self.size - gone;
        removed
    }

    /// The names in the list at a path (the top level for the empty path), each once, newest first.
    pub fn names(&self, path: &str) -> Vec<&str> {
        let list = if path.is_empty() {
            &self.top
        } else {
            match self.get(path) {
                Some(Value::Nested(list)) => list,
                _ => return Vec::new(),
            }
        };
        let mut names: Vec<&str> = Vec::new();
        for item in &list.0 {
            if !names.contains(&&*item.name) {
                names.push(&item.name);
            }
        }
        names
    }

    fn write(&mut self, path: &str, value: Value, place: Place) -> Result<(), VarError> {
        let (outer, last) = Path(path).split()?;
        let depth = outer.map_or(0, |outer| outer.matches("=>").count() + 1);
        if depth >= MAX_DEPTH {
            return Err(VarError::Full);
        }
        // An upper bound of what may be added, outer lists included: checked before anything changes.
        let room = Size {
            bytes: path.len() + (depth + 1) * size_of::<Item>(),
            values: depth,
        } + value.size();
        let after = self.size + room;
        if after.bytes > MAX_BYTES || after.values > MAX_VALUES {
            return Err(VarError::Full);
        }
        let mut list = &mut self.top;
        for segment in outer.into_iter().flat_map(segments) {
            let segment = segment?;
            let at = match list.at(segment) {
                Some(at) => at,
                None => {
                    let at = list.slot(segment, Place::Set)?;
                    let item = Item {
                        name: segment.name.into(),
                        value: Value::nested(),
                    };
                    self.size = self.size + item.size();
                    list.0.insert(at, item);
                    at
                }
            };
            list = match list.0.get_mut(at).map(|item| &mut item.value) {
                Some(Value::Nested(list)) => list,
                _ => return Err(VarError::NotNested(segment.name.into())),
            };
        }
        if let (Place::Set, Some(at)) = (place, list.at(last)) {
            if let Some(item) = list.0.get_mut(at) {
                self.size = self.size - item.value.size() + value.size();
                item.value = value;
            }
            return Ok(());
        }
        let at = list.slot(last, place)?;
        let item = Item {
            name: last.name.into(),
            value,
        };
        self.size = self.size + item.size();
        list.0.insert(at, item);
        Ok(())
    }
}

impl List {
    fn reach(&self, outer: Option<&str>) -> Option<&Self> {
        let mut list = self;
        for segment in outer.into_iter().flat_map(segments) {
            match list.value(segment.ok()?)? {
                Value::Nested(inner) => list = inner,
                _ => return None,
            }
        }
        Some(list)
    }

    fn reach_mut(&mut self, outer: Option<&str>) -> Option<&mut Self> {
        let mut list = self;
        for segment in outer.into_iter().flat_map(segments) {
            let at = list.at(segment.ok()?)?;
            match &mut list.0.get_mut(at)?.value {
                Value::Nested(inner) => list = inner,
                _ => return None,
            }
        }
        Some(list)
    }

    fn at(&self, segment: Segment<'_>) -> Option<usize> {
        let named = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, item)| *item.name == *segment.name);
        named.map(|(at, _)| at).nth(segment.index.unwrap_or(0))
    }

    fn value(&self, segment: Segment<'_>) -> Option<&Value> {
        self.0.get(self.at(segment)?).map(|item| &item.value)
    }

    fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|item| *item.name == *name).count()
    }

    /// Where a new value of that name goes.
    fn slot(&self, segment: Segment<'_>, place: Place) -> Result<usize, VarError> {
        let after_last = || {
            let last = self.0.iter().rposition(|item| *item.name == *segment.name);
            last.map_or(0, |at| at + 1)
        };
        match (place, segment.index) {
            (Place::Push, None) => Ok(0),
            (Place::Append, None) => Ok(after_last()),
            (Place::Set, index) => match (index.unwrap_or(0), self.count(segment.name)) {
                (0, 0) => Ok(0),
                (index, count) if index == count => Ok(after_last()),
                (index, count) => Err(VarError::NoSuchIndex {
                    name: segment.name.into(),
                    index,
                    count,
                }),
            },
            (Place::Push | Place::Append, Some(_)) => Err(VarError::Path {
                path: segment.name.into(),
                expected: "no index after the last name where a value is added",
            }),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Set,
    Push,
    Append,
}

#[derive(Debug, Clone, Copy)]
struct Path<'a>(&'a str);

/// One name of a path, with its index if one is written.
#[derive(Debug, Clone, Copy)]
struct Segment<'a> {
    name: &'a str,
    index: Option<usize>,
}

impl<'a> Path<'a> {
    /// The outer names, if there are any, and the last one. The outer names are read as they are walked.
    fn split(self) -> Result<(Option<&'a str>, Segment<'a>), VarError> {
        let (outer, last) = match self.0.rsplit_once("=>") {
            Some((outer, last)) => (Some(outer), last),
            None => (None, self.0),
        };
        if let Some(bad) = outer.into_iter().flat_map(segments).find_map(Result::err) {
            return Err(bad);
        }
        Ok((outer, segment(last)?))
    }
}

fn segments(path: &str) -> impl Iterator<Item = Result<Segment<'_>, VarError>> {
    path.split("=>").map(segment)
}

fn segment(text: &str) -> Result<Segment<'_>, VarError> {
    let wrong = |expected| VarError::Path {
        path: text.into(),
        expected,
    };
    let text = text.trim();
    let (name, index) = match text.split_once('[') {
        None => (text, None),
        Some((name, index)) => {
            let digits = index
                .strip_suffix(']')
                .ok_or_else(|| wrong("`]` after the index"))?;
            (
                name,
                Some(
                    digits
                        .parse()
                        .map_err(|_| wrong("a number from 0 as the index"))?,
                ),
            )
        }
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(wrong("a name of letters, digits, `_`, `-` and `.`"));
    }
    Ok(Segment { name, index })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn the_newest_is_first_and_set_replaces() {
        let mut vars = Vars::default();
        vars.push("caller", text("old")).unwrap();
        vars.push("caller", text("new")).unwrap();
        vars.append("caller", text("last")).unwrap();
        assert_eq!(vars.get("caller"), Some(&text("new")));
        assert_eq!(vars.get("caller[1]"), Some(&text("old")));
        assert_eq!(vars.get("caller[2]"), Some(&text("last")));
        vars.set("caller[1]", Value::Integer(7)).unwrap();
        vars.set("caller[3]", Value::Null).unwrap();
        assert_eq!(vars.get("caller[1]"), Some(&Value::Integer(7)));
        assert_eq!(vars.count("caller"), 4);
        assert_eq!(
            vars.set("caller[9]", Value::Null),
            Err(VarError::NoSuchIndex {
                name: "caller".into(),
                index: 9,
                count: 4
            })
        );
        assert_eq!(vars.remove("caller[0]"), 1);
        assert_eq!(vars.remove("caller"), 3);
        assert_eq!((vars.is_empty(), vars.size), (true, Size::default()));
    }

    #[test]
    fn outer_lists_are_made_as_needed() {
        let mut vars = Vars::default();
        vars.set("side=>leg[0]=>tag", text("a")).unwrap();
        vars.push("side", Value::nested()).unwrap();
        vars.set("side=>leg", text("b")).unwrap();
        assert_eq!(vars.get("side[1]=>leg=>tag"), Some(&text("a")));
        assert_eq!(vars.get("side=>leg"), Some(&text("b")));
        assert_eq!(vars.names("side[1]"), ["leg"]);
        assert_eq!(vars.names(""), ["side"]);
        assert_eq!(
            vars.set("side=>leg=>tag", Value::Null),
            Err(VarError::NotNested("leg".into()))
        );
        vars.remove("side");
        assert_eq!(vars.size, Size::default());
    }

    #[test]
    fn a_path_that_is_none_is_told() {
        let mut vars = Vars::default();
        for path in ["", "a=>", "=>a", "a[", "a[x]", "a[-1]", "a b", "a[1]b"] {
            assert!(
                matches!(vars.set(path, Value::Null), Err(VarError::Path { .. })),
                "{path}"
            );
            assert_eq!((vars.get(path), vars.count(path)), (None, 0));
            assert_eq!(vars.remove(path), 0);
        }
        assert!(matches!(
            vars.push("a[0]", Value::Null),
            Err(VarError::Path { .. })
        ));
        assert!(vars.is_empty());
    }

    #[test]
    fn a_script_can_not_fill_the_host() {
        let mut vars = Vars::default();
        assert_eq!(
            vars.set("big", text(&"x".repeat(MAX_BYTES))),
            Err(VarError::Full)
        );
        let made = (0..)
            .take_while(|_| vars.push("n", Value::Null).is_ok())
            .count();
        assert!((500..=MAX_VALUES).contains(&made), "{made}");
        assert_eq!(
            vars.set(&["a"; MAX_DEPTH + 1].join("=>"), Value::Null),
            Err(VarError::Full)
        );
        vars.clear();
        vars.set("n", Value::Boolean(true)).unwrap();
    }
}
