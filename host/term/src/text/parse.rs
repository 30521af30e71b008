//! Text to terms.
//!
//! Recursion goes as deep as the terms nest, bounded by `Limits::depth`; `Limits::count` and `Limits::bytes` (of text) hold too.

use smallvec::SmallVec;

use super::lexer::{Lexer, Token, negated};
use crate::{Atom, Bits, Export, Improper, Limits, Map, Pid, Port, Reference, Term};

/// Text that is no term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at}")]
pub struct BadText {
    /// Where, in bytes.
    pub at: usize,
    /// What was expected there.
    pub expected: String,
}

impl BadText {
    pub(super) fn at(at: usize, expected: &str) -> BadText {
        BadText {
            at,
            expected: expected.to_owned(),
        }
    }
}

/// The term of a text such as `{hello,"world",#{a => 1.5}}`, with or without a full stop, within the usual limits.
///
/// # Errors
/// When it is none, with the place.
pub fn parse(text: &str) -> Result<Term, BadText> {
    parse_with(text, &Limits::default())
}

/// The term of a text, within these limits.
///
/// # Errors
/// When it is none, with the place.
pub fn parse_with(text: &str, limits: &Limits) -> Result<Term, BadText> {
    if text.len() > limits.bytes {
        return Err(BadText::at(
            limits.bytes,
            &format!("at most {} bytes", limits.bytes),
        ));
    }
    let mut parser = Parser {
        lexer: Lexer::new(text),
        count: limits.count,
        limits,
    };
    let term = parser.term(limits.depth)?;
    parser.skip(".")?;
    match parser.lexer.next()? {
        Token::End => Ok(term),
        _ => Err(parser.expected("the end")),
    }
}

impl std::str::FromStr for Term {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Term, BadText> {
        parse(text)
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// How many terms may still come.
    count: usize,
    limits: &'a Limits,
}

impl Parser<'_> {
    fn expected(&self, what: &str) -> BadText {
        BadText::at(self.lexer.at, what)
    }

    /// Takes a mark if it is next.
    fn skip(&mut self, mark: &'static str) -> Result<bool, BadText> {
        let mut ahead = self.lexer.clone();
        let found = ahead.next()? == Token::Mark(mark);
        if found {
            self.lexer = ahead;
        }
        Ok(found)
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), BadText> {
        if self.skip(mark)? {
            Ok(())
        } else {
            Err(self.expected(mark))
        }
    }

    fn term(&mut self, depth: usize) -> Result<Term, BadText> {
        self.count = self.count.checked_sub(1).ok_or_else(|| {
            let limit = self.limits.count;
            self.expected(&format!("at most {limit} terms"))
        })?;
        let start = self.lexer.at;
        let inner = || {
            depth.checked_sub(1).ok_or_else(|| {
                let limit = self.limits.depth;
                BadText::at(start, &format!("at most {limit} terms inside each other"))
            })
        };
        let inner = inner();
        match self.lexer.next()? {
            Token::Number(number) => Ok(number),
            Token::Mark("-") => self.number().map(negated),
            Token::Mark("+") => self.number(),
            Token::Atom(word) if word == "fun" && !self.was_quoted(start) => self.export(),
            Token::Atom(atom) => Ok(Term::Atom(atom)),
            Token::Text(text) => self.string(text),
            Token::Identity(kind) => self.identity(kind),
            Token::Mark("{") => self.series("}", inner?).map(Term::Tuple),
            Token::Mark("[") => self.list(inner?),
            Token::Mark("#{") => self.map(inner?),
            Token::Mark("<<") => self.binary(),
            _ => Err(BadText::at(start, "a term")),
        }
    }

    fn was_quoted(&self, start: usize) -> bool {
        let mut lexer = self.lexer.clone();
        lexer.at = start;
        lexer.starts_with_quote()
    }

    fn number(&mut self) -> Result<Term, BadText> {
        match self.lexer.next()? {
            Token::Number(number) => Ok(number),
            _ => Err(self.expected("a number")),
        }
    }

    /// Strings beside each other are one.
    fn string(&mut self, mut text: String) -> Result<Term, BadText> {
        loop {
            let mut ahead = self.lexer.clone();
            match ahead.next()? {
                Token::Text(more) => {
                    text.push_str(&more);
                    self.lexer = ahead;
                }
                _ => return Ok(Term::string(&text)),
            }
        }
    }

    /// Terms with commas between them, up to a mark.
    fn series(&mut self, end: &'static str, depth: usize) -> Result<Vec<Term>, BadText> {
        let mut terms = Vec::new();
        if self.skip(end)? {
            return Ok(terms);
        }
        loop {
            terms.push(self.term(depth)?);
            if self.skip(end)? {
                return Ok(terms);
            }
            self.expect(",")?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Term, BadText> {
        let mut items = Vec::new();
        if self.skip("]")? {
            return Ok(Term::NIL);
        }
        loop {
            items.push(self.term(depth)?);
            if self.skip("]")? {
                return Ok(Term::List(items));
            }
            if self.skip("|")? {
                let tail = self.term(depth)?;
                self.expect("]")?;
                return Ok(Improper::list(items, tail));
            }
            self.expect(",")?;
        }
    }

    fn map(&mut self, depth: usize) -> Result<Term, BadText> {
        let mut pairs = Vec::new();
        if self.skip("}")? {
            return Ok(Term::Map(Map::new()));
        }
        loop {
            let key = self.term(depth)?;
            self.expect("=>")?;
            pairs.push((key, self.term(depth)?));
            if self.skip("}")? {
                break;
            }
            self.expect(",")?;
        }
        Map::unique(pairs)
            .map(Term::Map)
            .map_err(|_| self.expected("each key once"))
    }

    /// `<<1, "text", "ü"/utf8, 5:3>>`; only the last part may have a size that is no multiple of 8.
    fn binary(&mut self) -> Result<Term, BadText> {
        let mut bytes = Vec::new();
        if self.skip(">>")? {
            return Ok(Term::Binary(bytes));
        }
        loop {
            let mut last = 8;
            match self.lexer.next()? {
                Token::Text(text) => self.segment_text(&text, &mut bytes)?,
                Token::Number(Term::Int(number)) => {
                    if self.skip(":")? {
                        last = self.segment_size()?;
                    }
                    let value = u8::try_from(number).ok();
                    let value = value.filter(|value| u32::from(*value) < 1 << last);
                    let value = value.ok_or_else(|| self.expected("a byte that fits"))?;
                    bytes.push(value.checked_shl(8 - u32::from(last)).unwrap_or(0));
                }
                _ => return Err(self.expected("a byte or a string")),
            }
            if self.skip(">>")? {
                let malformed = self.expected("a bit string");
                return Bits::term(bytes, last).ok_or(malformed);
            }
            if last != 8 {
                return Err(self.expected(">>"));
            }
            self.expect(",")?;
        }
    }

    fn segment_size(&mut self) -> Result<u8, BadText> {
        match self.lexer.next()? {
            Token::Number(Term::Int(bits @ 1..=8)) => Ok(u8::try_from(bits).unwrap_or(8)),
            _ => Err(self.expected("a size of 1 to 8")),
        }
    }

    fn segment_text(&mut self, text: &str, bytes: &mut Vec<u8>) -> Result<(), BadText> {
        if self.skip("/")? {
            return match self.lexer.next()? {
                Token::Atom(kind) if kind == "utf8" => {
                    bytes.extend_from_slice(text.as_bytes());
                    Ok(())
                }
                _ => Err(self.expected("utf8")),
            };
        }
        for point in text.chars() {
            let byte = u8::try_from(point).map_err(|_| self.expected("/utf8"))?;
            bytes.push(byte);
        }
        Ok(())
    }

    /// `fun Module:Function/Arity`
    fn export(&mut self) -> Result<Term, BadText> {
        let module = self.atom()?;
        self.expect(":")?;
        let function = self.atom()?;
        self.expect("/")?;
        let Term::Int(arity) = self.number()? else {
            return Err(self.expected("an arity"));
        };
        let arity = u8::try_from(arity).map_err(|_| self.expected("an arity of at most 255"))?;
        Ok(Term::Export(Box::new(Export {
            module,
            function,
            arity,
        })))
    }

    fn atom(&mut self) -> Result<Atom, BadText> {
        match self.lexer.next()? {
            Token::Atom(atom) => Ok(atom),
            _ => Err(self.expected("an atom")),
        }
    }

    /// `#Pid<node.id.serial.creation>` and its kin.
    fn identity(&mut self, kind: &'static str) -> Result<Term, BadText> {
        let node = self.atom()?;
        let mut numbers: SmallVec<[u64; 6]> = SmallVec::new();
        while self.skip(".")? {
            if numbers.len() > Reference::MAX_IDS {
                return Err(self.expected(">"));
            }
            numbers.push(self.lexer.plain_number()?);
        }
        self.expect(">")?;
        let word = |number: &u64| u32::try_from(*number).ok();
        let term = match (kind, numbers.as_slice()) {
            ("#Pid<", [id, serial, creation]) => (|| {
                Some(Term::from(Pid {
                    node,
                    id: word(id)?,
                    serial: word(serial)?,
                    creation: word(creation)?,
                }))
            })(),
            ("#Port<", [id, creation]) => word(creation).map(|creation| {
                Term::from(Port {
                    node,
                    id: *id,
                    creation,
                })
            }),
            ("#Ref<", [creation, ids @ ..]) if !ids.is_empty() => (|| {
                Some(Term::from(Reference {
                    node,
                    creation: word(creation)?,
                    ids: ids.iter().map(word).collect::<Option<_>>()?,
                }))
            })(),
            _ => None,
        };
        term.ok_or_else(|| self.expected("the numbers of a pid, port or reference"))
    }
}
