//! Erlang's tokens, as far as terms have them.

use super::{BadText, digits};
use crate::{Atom, Big, Term};

/// A token with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// An integer or a float, without a sign.
    Number(Term),
    Atom(Atom),
    /// `"text"`
    Text(String),
    /// `#Pid<`, `#Port<` or `#Ref<`: the word.
    Identity(&'static str),
    /// `{`, `}`, `[`, `]`, `,`, `|`, `<<`, `>>`, `>`, `#{`, `=>`, `:`, `/`, `-`, `+`, `.`
    Mark(&'static str),
    End,
}

/// Two characters before one.
const MARKS: [&str; 16] = [
    "<<", ">>", "#{", "=>", ">", "{", "}", "[", "]", ",", "|", ":", "/", "-", "+", ".",
];
const IDENTITIES: [&str; 3] = ["#Pid<", "#Port<", "#Ref<"];

#[derive(Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let point = self.peek()?;
        self.at = self.at.saturating_add(point.len_utf8());
        Some(point)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|point| !accept(point)).unwrap_or(rest.len());
        self.at = self.at.saturating_add(length);
        rest.get(..length).unwrap_or_default()
    }

    /// Whether the next token is a quoted atom.
    pub(super) fn starts_with_quote(&mut self) -> bool {
        self.skip_blanks();
        self.peek() == Some('\'')
    }

    fn skip_blanks(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if self.peek() != Some('%') {
                return;
            }
            self.take_while(|point| point != '\n');
        }
    }

    pub(super) fn next(&mut self) -> Result<Token, BadText> {
        self.skip_blanks();
        let start = self.at;
        let Some(first) = self.peek() else {
            return Ok(Token::End);
        };
        if first.is_ascii_digit() {
            return self.number(start).map(Token::Number);
        }
        if first.is_lowercase() {
            let text = self.take_while(|point| point.is_alphanumeric() || "_@".contains(point));
            return atom(text, start);
        }
        match first {
            '\'' => {
                let text = self.quoted('\'')?;
                atom(&text, start)
            }
            '"' => self.quoted('"').map(Token::Text),
            '$' => {
                self.bump();
                let point = match self.bump() {
                    Some('\\') => self.escape(start)?,
                    Some(point) => Some(point),
                    None => None,
                };
                let point = point.ok_or_else(|| BadText::at(start, "a character after $"))?;
                Ok(Token::Number(Term::Int(i64::from(u32::from(point)))))
            }
            _ => self.mark(start),
        }
    }

    fn mark(&mut self, start: usize) -> Result<Token, BadText> {
        let rest = self.rest();
        let found =
            |marks: &[&'static str]| marks.iter().copied().find(|mark| rest.starts_with(mark));
        if let Some(word) = found(&IDENTITIES) {
            self.at = self.at.saturating_add(word.len());
            return Ok(Token::Identity(word));
        }
        let mark = found(&MARKS).ok_or_else(|| BadText::at(start, "a term"))?;
        self.at = self.at.saturating_add(mark.len());
        Ok(Token::Mark(mark))
    }

    /// `12`, `1_000`, `16#ff`, `1.5`, `1.0e-3`.
    fn number(&mut self, start: usize) -> Result<Term, BadText> {
        let bad = || BadText::at(start, "a number");
        let whole = self.digits();
        let rest = self.rest();
        if let Some(after) = rest.strip_prefix('#') {
            let base: u32 = whole.parse().map_err(|_| bad())?;
            if !(2..=36).contains(&base) || after.starts_with(['{', '<']) {
                return Err(BadText::at(start, "a base of 2 to 36"));
            }
            self.bump();
            let digits = self.take_while(|point| point.is_ascii_alphanumeric() || point == '_');
            return digits::integer(false, &digits.replace('_', ""), base).ok_or_else(bad);
        }
        let is_float = rest
            .strip_prefix('.')
            .is_some_and(|part| part.starts_with(|point: char| point.is_ascii_digit()));
        if !is_float {
            return digits::integer(false, &whole, 10).ok_or_else(bad);
        }
        self.bump();
        let mut text = format!("{whole}.{}", self.digits());
        if self.rest().starts_with(['e', 'E']) {
            self.bump();
            text.push('e');
            if let Some(sign) = self.peek().filter(|point| "+-".contains(*point)) {
                self.bump();
                text.push(sign);
            }
            text.push_str(&self.digits());
        }
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Term::Float(float)),
            _ => Err(BadText::at(start, "a finite float")),
        }
    }

    fn digits(&mut self) -> String {
        self.take_while(|point| point.is_ascii_digit() || point == '_')
            .replace('_', "")
    }

    /// The decimal digits here, as they stand: the numbers of a pid.
    pub(super) fn plain_number(&mut self) -> Result<u64, BadText> {
        let start = self.at;
        let digits = self.take_while(|point| point.is_ascii_digit());
        digits
            .parse()
            .map_err(|_| BadText::at(start, "a number of 64 bits"))
    }

    fn quoted(&mut self, quote: char) -> Result<String, BadText> {
        let start = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.bump() {
                Some(point) if point == quote => return Ok(text),
                Some('\\') => text.extend(self.escape(at)?),
                Some(point) => text.push(point),
                None => return Err(BadText::at(start, "a closing quote")),
            }
        }
    }

    /// What follows a backslash; nothing for a line that goes on.
    fn escape(&mut self, start: usize) -> Result<Option<char>, BadText> {
        let bad = || BadText::at(start, "an escape");
        let point = match self.bump().ok_or_else(bad)? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'b' => '\x08',
            'f' => '\x0c',
            'e' => '\x1b',
            's' => ' ',
            'd' => '\x7f',
            '\n' => return Ok(None),
            '^' => {
                let control = self.bump().filter(char::is_ascii).ok_or_else(bad)?;
                char::from_u32(u32::from(control) & 31).ok_or_else(bad)?
            }
            'x' => {
                let digits = if self.peek() == Some('{') {
                    self.bump();
                    let digits = self.take_while(|point| point.is_ascii_hexdigit());
                    if self.bump() != Some('}') {
                        return Err(bad());
                    }
                    digits
                } else {
                    let two = self.rest().get(..2).ok_or_else(bad)?;
                    self.at = self.at.saturating_add(2);
                    two
                };
                let point = u32::from_str_radix(digits, 16).map_err(|_| bad())?;
                char::from_u32(point).ok_or_else(bad)?
            }
            first if first.is_digit(8) => {
                let mut value = first.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    if let Some(digit) = self.peek().and_then(|point| point.to_digit(8)) {
                        self.bump();
                        value = value * 8 + digit;
                    }
                }
                char::from_u32(value).ok_or_else(bad)?
            }
            other => other,
        };
        Ok(Some(point))
    }
}

fn atom(text: &str, start: usize) -> Result<Token, BadText> {
    Atom::new(text)
        .map(Token::Atom)
        .map_err(|_| BadText::at(start, "an atom of at most 255 characters"))
}

/// The number with its sign turned.
pub(super) fn negated(number: Term) -> Term {
    match number {
        Term::Int(number) => Term::from(-i128::from(number)),
        Term::Float(number) => Term::Float(-number),
        Term::Big(number) => Big::integer(!number.is_negative(), number.magnitude()),
        other => other,
    }
}
