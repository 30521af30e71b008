//! A message as a plain list of lines, edited the obvious way: what [`Edits`] and `render` must agree with, byte for byte.
//!
//! The lines are cut apart here without the index, so it is an oracle of the index too. The fuzz targets include this file.

use switchhook_sip::message::{EditError, Edits, Fault, HeaderId, Message, Position, View};

/// One edit; `usize` picks one of the fields there are.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    RequestUri(Vec<u8>),
    StatusLine(u16, Vec<u8>),
    Prepend(Vec<u8>, Vec<u8>),
    Append(Vec<u8>, Vec<u8>),
    Before(usize, Vec<u8>, Vec<u8>),
    After(usize, Vec<u8>, Vec<u8>),
    Replace(usize, Vec<u8>),
    Remove(usize),
    RemoveNamed(Vec<u8>),
    PrependValue(HeaderId, Vec<u8>),
    SetHeader(HeaderId, Vec<u8>),
    RemoveFirst(HeaderId),
    ViaParam(Vec<u8>, Vec<u8>),
    MaxForwards(u8),
    Body(Option<Vec<u8>>, Vec<u8>),
    AddContentLength,
}

/// The headers that ops act on by id.
pub(crate) const IDS: [HeaderId; 8] = [
    HeaderId::Via,
    HeaderId::Route,
    HeaderId::RecordRoute,
    HeaderId::Contact,
    HeaderId::MaxForwards,
    HeaderId::Subject,
    HeaderId::Supported,
    HeaderId::From,
];

/// One field: what stands before its value, the value, and what stands behind it.
#[derive(Debug, Clone)]
struct Row {
    name: Vec<u8>,
    before: Vec<u8>,
    value: Vec<u8>,
    behind: Vec<u8>,
    /// As the view first gave it. It must stay good.
    position: Position,
}

/// The whole message.
#[derive(Debug)]
pub(crate) struct Model {
    start: Vec<u8>,
    rows: Vec<Row>,
    blank: Vec<u8>,
    body: Vec<u8>,
}

const LWS: &[char] = &[' ', '\t', '\r', '\n'];

fn trim(bytes: &[u8]) -> Vec<u8> {
    // One char for each byte, so that any bytes can be a string.
    let text: String = bytes.iter().map(|b| char::from(*b)).collect();
    text.trim_matches(LWS).chars().map(|c| c as u8).collect()
}

fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|b| *b == wanted)
}

impl Model {
    /// Cuts the message's bytes into lines.
    pub(crate) fn of(msg: &Message) -> Self {
        let positions: Vec<Position> = msg.fields().map(|field| field.position).collect();
        let mut rest: &[u8] = msg.bytes();
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let blank = loop {
            let end = find(rest, b'\n').expect("a line ends") + 1;
            let (line, tail) = rest.split_at(end);
            rest = tail;
            match line {
                b"\r\n" | b"\n" => break line.to_vec(),
                [b' ' | b'\t', ..] => lines
                    .last_mut()
                    .expect("a fold follows a line")
                    .extend(line),
                _ => lines.push(line.to_vec()),
            }
        };
        let start = lines.remove(0);
        assert_eq!(
            lines.len(),
            positions.len(),
            "fields in the index and lines in the message"
        );
        let rows = lines
            .iter()
            .zip(positions)
            .map(|(line, position)| Row::of(line, position))
            .collect();
        Self {
            start,
            rows,
            blank,
            body: rest.to_vec(),
        }
    }

    /// The message's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.start.clone();
        for row in &self.rows {
            bytes.extend([&row.before[..], &row.value, &row.behind].concat());
        }
        bytes.extend_from_slice(&self.blank);
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Asserts that the view shows what is here.
    pub(crate) fn assert_shown_by(&self, view: View<'_>) {
        let mut rows = self.rows.iter();
        for field in view.fields() {
            let row = rows
                .next()
                .expect("the view shows no more fields than there are");
            assert_eq!(field.name, row.name);
            assert_eq!(field.value, row.value);
            assert_eq!(field.position, row.position);
            assert_eq!(field.id, HeaderId::of(&row.name));
        }
        assert!(rows.next().is_none(), "the view shows all fields");
        assert_eq!(view.body(), self.body);
        for id in IDS {
            let values: Vec<&[u8]> = view.values(id).collect();
            let mine: Vec<Vec<u8>> = self
                .rows
                .iter()
                .filter(|row| row.id() == id)
                .flat_map(Row::values)
                .collect();
            assert_eq!(values, mine);
        }
    }

    /// Does the op to the edits and, where it was taken, here.
    pub(crate) fn apply(&mut self, op: &Op, msg: &Message, edits: &mut Edits) {
        match self.try_op(op, msg, edits) {
            Ok(()) => {}
            Err(error) => assert!(self.may_refuse(op, msg, &error), "{op:?}: {error}"),
        }
    }

    fn try_op(&mut self, op: &Op, msg: &Message, edits: &mut Edits) -> Result<(), EditError> {
        let end = self.rows.len();
        match op {
            Op::RequestUri(uri) => {
                edits.set_request_uri(msg, uri)?;
                let from = find(&self.start, b' ').expect("a space") + 1;
                let to = from + find(&self.start[from..], b' ').expect("another space");
                self.start.splice(from..to, uri.iter().copied());
            }
            Op::StatusLine(status, reason) => {
                edits.set_status_line(msg, *status, reason)?;
                let end = if self.start.ends_with(b"\r\n") {
                    "\r\n"
                } else {
                    "\n"
                };
                self.start = format!("SIP/2.0 {status} ").into_bytes();
                self.start.extend([reason, end.as_bytes()].concat());
            }
            Op::Prepend(name, value) => {
                let position = edits.prepend_field(msg, name, value)?;
                self.rows.insert(0, Row::new(name, value, position));
            }
            Op::Append(name, value) => {
                let position = edits.append_field(msg, name, value)?;
                self.rows.insert(end, Row::new(name, value, position));
            }
            Op::Before(at, name, value) => {
                let at = at % end.max(1);
                let Some(row) = self.rows.get(at) else {
                    return Ok(());
                };
                let position = edits.insert_before(msg, row.position, name, value)?;
                self.rows.insert(at, Row::new(name, value, position));
            }
            Op::After(at, name, value) => {
                let at = at % end.max(1);
                let Some(row) = self.rows.get(at) else {
                    return Ok(());
                };
                let position = edits.insert_after(msg, row.position, name, value)?;
                self.rows.insert(at + 1, Row::new(name, value, position));
            }
            Op::Replace(at, value) => {
                let Some(row) = self.rows.get_mut(at % end.max(1)) else {
                    return Ok(());
                };
                edits.replace_value(msg, row.position, value)?;
                row.value = trim(value);
            }
            Op::Remove(at) => {
                let at = at % end.max(1);
                let Some(row) = self.rows.get(at) else {
                    return Ok(());
                };
                let position = row.position;
                edits.remove_field(msg, position)?;
                self.rows.remove(at);
                assert_eq!(
                    edits.replace_value(msg, position, b"x"),
                    Err(EditError::NoField)
                );
            }
            Op::RemoveNamed(name) => {
                let removed = edits.remove_named(msg, name)?;
                let id = HeaderId::of(name);
                self.rows.retain(|row| match id {
                    HeaderId::Other => !row.name.eq_ignore_ascii_case(name),
                    id => row.id() != id,
                });
                assert_eq!(removed, end - self.rows.len());
            }
            Op::PrependValue(id, value) => {
                let position = edits.prepend_value(msg, *id, value)?;
                let via = self.rows.iter().rposition(|row| row.id() == HeaderId::Via);
                let at = match (self.first(*id), via) {
                    (Some(first), _) => first,
                    (None, Some(via)) => via + 1,
                    (None, None) => 0,
                };
                self.rows
                    .insert(at, Row::new(id.name().as_bytes(), value, position));
            }
            Op::SetHeader(id, value) => {
                let position = edits.set_header(msg, *id, value)?;
                self.set(*id, value, position);
            }
            Op::RemoveFirst(id) => {
                let removed = edits.remove_first_value(msg, *id)?;
                assert_eq!(removed, self.remove_first(*id));
            }
            Op::ViaParam(name, value) => {
                edits.set_via_params(msg, [(name, value)])?;
                self.via_param(name, value);
            }
            Op::MaxForwards(hops) => {
                let there = self.first(HeaderId::MaxForwards);
                edits.set_max_forwards(msg, *hops)?;
                let value = hops.to_string().into_bytes();
                if let Some(row) = there.and_then(|at| self.rows.get_mut(at)) {
                    row.value = value;
                } else {
                    let field = edits
                        .view(msg)
                        .field(HeaderId::MaxForwards)
                        .expect("it was set");
                    let via = self.rows.iter().rposition(|row| row.id() == HeaderId::Via);
                    let row = Row::new(b"Max-Forwards", &value, field.position);
                    self.rows.insert(via.map_or(0, |via| via + 1), row);
                }
            }
            Op::Body(content_type, body) => {
                edits.set_body(msg, content_type.as_deref(), body)?;
                let position = |id| edits.view(msg).field(id).expect("it was set").position;
                match content_type {
                    Some(value) => self.set(
                        HeaderId::ContentType,
                        value,
                        position(HeaderId::ContentType),
                    ),
                    None => self.rows.retain(|row| row.id() != HeaderId::ContentType),
                }
                self.body.clone_from(body);
                let length = body.len().to_string();
                self.set(
                    HeaderId::ContentLength,
                    length.as_bytes(),
                    position(HeaderId::ContentLength),
                );
            }
            Op::AddContentLength => {
                edits.add_content_length(msg)?;
                if self.first(HeaderId::ContentLength).is_none() {
                    let field = edits
                        .view(msg)
                        .field(HeaderId::ContentLength)
                        .expect("it was added");
                    let length = self.body.len().to_string();
                    self.rows.push(Row::new(
                        b"Content-Length",
                        length.as_bytes(),
                        field.position,
                    ));
                }
            }
        }
        Ok(())
    }

    /// True where the edit had good reason to refuse.
    fn may_refuse(&self, op: &Op, msg: &Message, error: &EditError) -> bool {
        let token = |name: &[u8]| {
            !name.is_empty()
                && name
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b))
        };
        match (op, error) {
            (Op::RequestUri(_), EditError::Kind { .. }) => !msg.is_request(),
            (Op::StatusLine(..), EditError::Kind { .. }) => msg.is_request(),
            (Op::RequestUri(_), EditError::Malformed(malformed)) => malformed.fault() == Fault::Uri,
            (Op::StatusLine(status, _), EditError::Status(_)) => !(100..700).contains(status),
            (Op::ViaParam(..), EditError::Malformed(malformed)) => {
                matches!(malformed.fault(), Fault::Via | Fault::Missing)
            }
            (
                Op::ViaParam(name, value),
                EditError::Value(_) | EditError::Name(_) | EditError::TooLong,
            ) => {
                !token(name)
                    || value.iter().any(|b| b",;\" \t\r\n".contains(b))
                    || name.len() + value.len() > 120
            }
            (
                Op::Prepend(name, _)
                | Op::Append(name, _)
                | Op::Before(_, name, _)
                | Op::After(_, name, _),
                EditError::Name(_),
            ) => !token(name),
            (_, EditError::LineBreak(value)) => value.iter().any(|b| matches!(b, b'\r' | b'\n')),
            (Op::Replace(..) | Op::Remove(_), EditError::ContentLength) => {
                self.first(HeaderId::ContentLength).is_some()
            }
            (
                Op::Prepend(name, _)
                | Op::Append(name, _)
                | Op::Before(_, name, _)
                | Op::After(_, name, _)
                | Op::RemoveNamed(name),
                EditError::ContentLength,
            ) => HeaderId::of(name) == HeaderId::ContentLength,
            _ => false,
        }
    }

    fn first(&self, id: HeaderId) -> Option<usize> {
        self.rows.iter().position(|row| row.id() == id)
    }

    fn set(&mut self, id: HeaderId, value: &[u8], position: Position) {
        match self.first(id) {
            None => self
                .rows
                .push(Row::new(id.name().as_bytes(), value, position)),
            Some(first) => {
                let mut at = 0;
                self.rows.retain(|row| {
                    at += 1;
                    row.id() != id || at == first + 1
                });
                let row = self.rows.get_mut(first).expect("it was there");
                assert_eq!(row.position, position);
                row.value = trim(value);
            }
        }
    }

    fn remove_first(&mut self, id: HeaderId) -> bool {
        while let Some(at) = self.first(id) {
            let row = self.rows.get_mut(at).expect("it was there");
            let spans: Vec<_> = row
                .spans()
                .into_iter()
                .filter(|(from, to)| from < to)
                .collect();
            let end = row.value.len();
            match spans.get(1) {
                Some((second, _)) => row.value = row.value[*second..end].to_vec(),
                None => drop(self.rows.remove(at)),
            }
            if !spans.is_empty() {
                return true;
            }
        }
        false
    }

    fn via_param(&mut self, name: &[u8], value: &[u8]) {
        let at = self.first(HeaderId::Via).expect("there is a Via");
        let row = self.rows.get_mut(at).expect("there is a Via");
        let (from, to) = row.spans()[0];
        let via = row.value[from..to].to_vec();
        let new = [b";", name, b"=", value].concat();
        let mut start = find(&via, b';').unwrap_or(via.len());
        let mut place = (via.len(), via.len());
        while start < via.len() {
            let end = unquoted(&via, start + 1, b';').unwrap_or(via.len());
            let param = &via[start + 1..end];
            let key = trim(&param[..find(param, b'=').unwrap_or(param.len())]);
            if via[start] == b';' && key.eq_ignore_ascii_case(name) {
                let text: String = param.iter().map(|b| char::from(*b)).collect();
                place = (
                    start,
                    start + 1 + text.trim_end_matches(LWS).chars().count(),
                );
                break;
            }
            start = end;
        }
        row.value.splice(from + place.0..from + place.1, new);
    }
}

/// The next such byte outside quotes.
fn unquoted(bytes: &[u8], from: usize, wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, b) in bytes.iter().enumerate().skip(from) {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b if *b == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

impl Row {
    fn of(line: &[u8], position: Position) -> Self {
        let colon = find(line, b':').expect("a field has a colon");
        let (head, tail) = line.split_at(colon + 1);
        let value = trim(tail);
        let lead = if value.is_empty() {
            0
        } else {
            tail.windows(value.len())
                .position(|w| w == value)
                .expect("the value is in its line")
        };
        Self {
            name: trim(&head[..colon]),
            before: [head, &tail[..lead]].concat(),
            behind: tail[lead + value.len()..].to_vec(),
            value,
            position,
        }
    }

    fn new(name: &[u8], value: &[u8], position: Position) -> Self {
        Self {
            name: name.to_vec(),
            before: [name, b": "].concat(),
            value: trim(value),
            behind: b"\r\n".to_vec(),
            position,
        }
    }

    fn id(&self) -> HeaderId {
        HeaderId::of(&self.name)
    }

    /// Where its values stand, trimmed; empty ones too.
    fn spans(&self) -> Vec<(usize, usize)> {
        let whole = (0, self.value.len());
        if !self.id().is_list() {
            return vec![whole];
        }
        let mut ends = Vec::new();
        let (mut quoted, mut escaped, mut angled) = (false, false, false);
        for (at, b) in self.value.iter().enumerate() {
            match b {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' if !angled => quoted = !quoted,
                b'<' if !quoted => angled = true,
                b'>' if !quoted => angled = false,
                b',' if !quoted && !angled => ends.push(at),
                _ => {}
            }
        }
        ends.push(self.value.len());
        let mut from = 0;
        let mut spans = Vec::new();
        for to in ends {
            let inner = &self.value[from..to];
            let lead = inner.iter().take_while(|b| b" \t\r\n".contains(b)).count();
            let len = trim(inner).len();
            spans.push((
                from + lead.min(inner.len() - len),
                from + lead.min(inner.len() - len) + len,
            ));
            from = to + 1;
        }
        spans
    }

    fn values(&self) -> Vec<Vec<u8>> {
        let spans = self.spans().into_iter().filter(|(from, to)| from < to);
        spans
            .map(|(from, to)| self.value[from..to].to_vec())
            .collect()
    }
}
