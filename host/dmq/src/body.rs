//! Bodies that hold many entries: as many as a message has room for.
//!
//! An entry is written where it is to be and taken back where it does not fit, so nothing is written twice or copied. Limits:
//! [`MAX_BODY`] bytes, and as many entries as the kind of body may have.

use crate::envelope::MAX_BODY;

/// What came of adding an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is in.
    Yes,
    /// There is no room left: it is for the next body.
    Full,
    /// It is too long for any body.
    Never,
}

/// A body that entries are added to.
#[derive(Debug)]
pub(crate) struct Body {
    text: Vec<u8>,
    count: usize,
    head: &'static str,
    tail: &'static str,
    most: usize,
}

/// How far a body was filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    length: usize,
    /// Entries.
    pub(crate) count: usize,
}

impl Body {
    /// An empty one, of at most so many entries between those two.
    pub(crate) fn new(head: &'static str, tail: &'static str, most: usize) -> Self {
        Self {
            text: Vec::new(),
            count: 0,
            head,
            tail,
            most,
        }
    }

    /// Adds what `write` writes, which is told its number from 1 on.
    pub(crate) fn add<E>(
        &mut self,
        write: impl FnOnce(usize, &mut Vec<u8>) -> Result<(), E>,
    ) -> Added {
        if self.count >= self.most {
            return Added::Full;
        }
        let before = self.text.len();
        match self.count {
            0 => {
                self.text.reserve(MAX_BODY);
                self.text.extend_from_slice(self.head.as_bytes());
            }
            _ => self.text.push(b','),
        }
        let written = write(self.count + 1, &mut self.text).is_ok();
        let length = self.text.len() + self.tail.len();
        if written && length <= MAX_BODY {
            self.count += 1;
            return Added::Yes;
        }
        let alone = length - before + self.head.len();
        self.text.truncate(before);
        match written && self.count > 0 && alone <= MAX_BODY {
            true => Added::Full,
            false => Added::Never,
        }
    }

    /// How far it is filled.
    pub(crate) fn mark(&self) -> Mark {
        let (length, count) = (self.text.len(), self.count);
        Mark { length, count }
    }

    /// Takes back what was added since.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.text.truncate(mark.length);
        self.count = mark.count;
    }

    /// The whole body, if there is anything in it; then it is empty again.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        let mut text = std::mem::take(&mut self.text);
        let count = std::mem::take(&mut self.count);
        text.extend_from_slice(self.tail.as_bytes());
        (count > 0).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(body: &mut Body, text: &str) -> Added {
        body.add(|_, out| {
            out.extend_from_slice(text.as_bytes());
            Ok::<_, ()>(())
        })
    }

    #[test]
    fn entries_go_in_as_long_as_there_is_room() {
        let mut body = Body::new("[", "]", 3);
        assert_eq!(body.finish(), None);
        assert_eq!(add(&mut body, &"x".repeat(MAX_BODY - 1)), Added::Never);
        assert_eq!(add(&mut body, "1"), Added::Yes);
        let mark = body.mark();
        assert_eq!(add(&mut body, "2"), Added::Yes);
        assert_eq!(add(&mut body, &"x".repeat(MAX_BODY - 4)), Added::Full);
        assert_eq!(add(&mut body, &"x".repeat(MAX_BODY)), Added::Never);
        body.back_to(mark);
        assert_eq!(add(&mut body, "3"), Added::Yes);
        assert_eq!(add(&mut body, "4"), Added::Yes);
        assert_eq!(add(&mut body, "5"), Added::Full);
        assert_eq!(body.finish().unwrap(), b"[1,3,4]");
        assert_eq!(body.finish(), None);
        assert_eq!(add(&mut body, &"x".repeat(MAX_BODY - 2)), Added::Yes);
        assert_eq!(body.finish().unwrap().len(), MAX_BODY);
    }
}
