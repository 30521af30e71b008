//! A REGISTER carried out on the contacts that are there. RFC 3261 10.3 steps 2 and 6 to 8; RFC 3327 5.3; RFC 5626 section 6.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use super::binding::{Binding, Marks, Parts};
use super::same::same_uri;
use crate::answer::Answer;
use crate::flow::Source;
use crate::message::{HeaderId, NameAddr, Uri, View, seconds, to_decimal, unquote};

/// RFC 3261 10.3 step 7: who asks for an hour or more is never refused as too brief.
const HOUR: Duration = Duration::from_secs(3600);

/// The option tags of Require that we know.
const SUPPORTED: [&[u8]; 1] = [b"path"];

/// What a registrar allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For contacts that ask for no time.
    pub default_expires: Duration,
    /// Who asks for less gets a 423 with Min-Expires; an hour at most.
    pub min_expires: Duration,
    /// Who asks for more gets this.
    pub max_expires: Duration,
    /// Contacts of one address of record; who adds one beyond: 403.
    pub max_contacts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            default_expires: HOUR,
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(86_400),
            max_contacts: 10,
        }
    }
}

/// What a REGISTER did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Contacts were added or refreshed.
    Updated,
    /// Contacts were removed, and none was added or refreshed.
    Removed,
    /// It only asked, or had nothing to remove.
    Queried,
    /// It was refused.
    Refused,
}

/// What becomes of the contacts, and the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was done.
    pub saved: Saved,
    /// All contacts from now on, those that had ended left out. `None`: nothing changes.
    pub bindings: Option<Vec<Binding>>,
    /// 200 with all contacts, or the refusal.
    pub answer: Answer,
}

impl Outcome {
    /// What a copy of a REGISTER comes to whose sender repeats it: the answer, as nothing is left to be changed. Where something is, the
    /// contacts have changed since, and what is newer holds: it is refused as late.
    pub fn of_copy(self) -> Self {
        match self.bindings {
            None => self,
            Some(_) => Self {
                saved: Saved::Refused,
                bindings: None,
                answer: out_of_order(),
            },
        }
    }
}

/// Carries a REGISTER out on the contacts of its address of record.
pub fn save(
    now: Instant,
    request: View<'_>,
    source: &Source,
    current: &[Binding],
    limits: &Limits,
) -> Outcome {
    let decided =
        Register::read(request).and_then(|register| register.apply(now, source, current, limits));
    decided.unwrap_or_else(|answer| Outcome {
        saved: Saved::Refused,
        bindings: None,
        answer,
    })
}

/// What a REGISTER asks for.
struct Register<'a> {
    request: View<'a>,
    call_id: &'a [u8],
    cseq: u32,
    path: Vec<u8>,
    asked: Asked<'a>,
}

enum Asked<'a> {
    /// No Contact.
    Query,
    /// `Contact: *` with `Expires: 0`.
    RemoveAll,
    /// Contacts, each to be added, refreshed or removed.
    Contacts(Vec<Contact<'a>>),
}

struct Contact<'a> {
    address: NameAddr<'a>,
    uri: Uri<'a>,
    instance: std::borrow::Cow<'a, [u8]>,
    reg_id: u32,
    /// In seconds; `None` where neither it nor the header says.
    expires: Option<u32>,
}

/// A contact of the list that a REGISTER changes.
enum Entry<'b> {
    /// It was there before.
    Old(&'b Binding),
    /// This request made it.
    Made(Binding),
}

impl Entry<'_> {
    fn binding(&self) -> &Binding {
        match self {
            Self::Old(binding) => binding,
            Self::Made(binding) => binding,
        }
    }

    fn into_binding(self) -> Binding {
        match self {
            Self::Old(binding) => binding.clone(),
            Self::Made(binding) => binding,
        }
    }
}

#[derive(PartialEq, Eq)]
enum Order {
    Newer,
    Again,
}

impl<'a> Register<'a> {
    fn read(request: View<'a>) -> Result<Self, Answer> {
        required(request)?;
        let cseq = request.cseq()?.number;
        let call_id = request.call_id()?;
        let path = path(request)?;
        let asked = asked(request)?;
        Ok(Self {
            request,
            call_id,
            cseq,
            path,
            asked,
        })
    }

    /// RFC 3261 10.3 steps 6 to 8.
    fn apply(
        &self,
        now: Instant,
        source: &Source,
        current: &[Binding],
        limits: &Limits,
    ) -> Result<Outcome, Answer> {
        // Of that length it nearly always stays, and becomes the contacts' own list without being copied.
        let mut bindings = Vec::with_capacity(current.len());
        let live = current.iter().filter(|binding| binding.is_live(now));
        bindings.extend(live.map(Entry::Old));
        let saved = match &self.asked {
            Asked::Query => Saved::Queried,
            Asked::RemoveAll => {
                let before = bindings.len();
                for entry in &bindings {
                    self.order(entry.binding())?;
                }
                bindings.retain(|entry| self.order(entry.binding()) == Ok(Order::Again));
                match bindings.len() < before {
                    true => Saved::Removed,
                    false => Saved::Queried,
                }
            }
            Asked::Contacts(contacts) => {
                self.update(now, source, contacts, &mut bindings, limits)?
            }
        };
        let changes = matches!(saved, Saved::Updated | Saved::Removed);
        Ok(Outcome {
            saved,
            answer: self.accept(now, &bindings),
            bindings: changes.then(|| bindings.into_iter().map(Entry::into_binding).collect()),
        })
    }

    fn update(
        &self,
        now: Instant,
        source: &Source,
        contacts: &[Contact<'_>],
        bindings: &mut Vec<Entry<'_>>,
        limits: &Limits,
    ) -> Result<Saved, Answer> {
        let mut saved = Saved::Queried;
        let before = bindings.len();
        for contact in contacts {
            let expires = contact.expires(limits)?;
            let at = bindings
                .iter()
                .position(|entry| contact.is(entry.binding()));
            let old = at.and_then(|at| bindings.get(at));
            // What this request made itself is not held against its own CSeq.
            if let Some(Entry::Old(binding)) = old
                && self.order(binding)? == Order::Again
            {
                continue;
            }
            let new = match expires.is_zero() {
                true => None,
                false => {
                    let old = old.map(Entry::binding);
                    Some(Entry::Made(
                        self.binding(now, contact, expires, source, old)?,
                    ))
                }
            };
            match (at, new) {
                (Some(at), Some(new)) => {
                    if let Some(entry) = bindings.get_mut(at) {
                        *entry = new;
                    }
                    saved = Saved::Updated;
                }
                (None, Some(new)) => {
                    bindings.push(new);
                    saved = Saved::Updated;
                }
                (Some(at), None) => {
                    bindings.remove(at);
                    if saved == Saved::Queried {
                        saved = Saved::Removed;
                    }
                }
                (None, None) => {}
            }
        }
        // Where the limit was lowered, those that are there may stay and be refreshed.
        if bindings.len() > limits.max_contacts.max(before) {
            return Err(Answer::because(403, "Too Many Contacts"));
        }
        Ok(saved)
    }

    /// Steps 6 and 7: a request of the same Call-ID must be newer than the one that made the contact. One of the same
    /// number is that request again, whose answer was lost: it changes nothing, and is answered as before.
    fn order(&self, binding: &Binding) -> Result<Order, Answer> {
        if binding.call_id() != self.call_id {
            return Ok(Order::Newer);
        }
        match self.cseq.cmp(&binding.cseq()) {
            Ordering::Greater => Ok(Order::Newer),
            Ordering::Equal => Ok(Order::Again),
            Ordering::Less => Err(out_of_order()),
        }
    }

    fn binding(
        &self,
        now: Instant,
        contact: &Contact<'_>,
        expires: Duration,
        source: &Source,
        before: Option<&Binding>,
    ) -> Result<Binding, Answer> {
        // Other servers know it by its name, and keep their marks; it has registered here now.
        let marks = before.map(Binding::marks).unwrap_or_default();
        Binding::new(&Parts {
            uri: contact.address.uri,
            call_id: self.call_id,
            user_agent: self.request.header(HeaderId::UserAgent).unwrap_or_default(),
            instance: &contact.instance,
            path: &self.path,
            ruid: before.map_or(b"", Binding::ruid),
            q: contact.address.q(),
            cseq: self.cseq,
            reg_id: contact.reg_id,
            modified: now,
            expires: now + expires,
            received: *source,
            marks: Marks { server: 0, ..marks },
        })
        .ok_or_else(|| Answer::because(400, "Contact Too Long"))
    }

    /// Step 8: all contacts with the time they still have; Path as it came (RFC 3327 5.3).
    fn accept(&self, now: Instant, bindings: &[Entry<'_>]) -> Answer {
        let mut answer = Answer::new(200);
        for entry in bindings {
            answer = answer.with("Contact", contact_value(now, entry.binding()));
        }
        if !self.path.is_empty() {
            answer = answer.with("Path", String::from_utf8_lossy(&self.path));
        }
        answer
    }
}

fn out_of_order() -> Answer {
    Answer::because(500, "CSeq Out Of Order")
}

fn contact_value(now: Instant, binding: &Binding) -> String {
    // Enough for all but long instances.
    let mut value = Vec::with_capacity(binding.uri().len() + binding.instance().len() + 64);
    value.push(b'<');
    value.extend_from_slice(binding.uri());
    value.push(b'>');
    if binding.q() < 1000 {
        let decimals = format!("{:03}", binding.q());
        let decimals = decimals.trim_end_matches('0');
        value.extend_from_slice(b";q=0");
        if !decimals.is_empty() {
            value.push(b'.');
            value.extend_from_slice(decimals.as_bytes());
        }
    }
    value.extend_from_slice(b";expires=");
    value.extend_from_slice(to_decimal(&mut [0; 10], binding.remaining(now)));
    if !binding.instance().is_empty() {
        value.extend_from_slice(b";+sip.instance=\"");
        for b in binding.instance() {
            if matches!(b, b'\\' | b'"') {
                value.push(b'\\');
            }
            value.push(*b);
        }
        value.push(b'"');
        if binding.reg_id() > 0 {
            value.extend_from_slice(b";reg-id=");
            value.extend_from_slice(to_decimal(&mut [0; 10], binding.reg_id()));
        }
    }
    String::from_utf8(value)
        .unwrap_or_else(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned())
}

impl<'a> Contact<'a> {
    fn read(value: &'a [u8], header: Option<u32>) -> Result<Self, Answer> {
        let bad = || Answer::because(400, "Malformed Contact");
        let address = NameAddr::parse(value).map_err(|_| bad())?;
        let uri = address.uri().map_err(|_| bad())?;
        let instance = unquote(address.params.value(b"+sip.instance").unwrap_or_default());
        let reg_id = address.params.value(b"reg-id").and_then(seconds);
        // One that cannot be read means the default (RFC 3261 10.2.1.1, 20.10).
        let expires = match address.params.get(b"expires") {
            Some(_) => address.expires(),
            None => header,
        };
        Ok(Self {
            address,
            uri,
            instance,
            reg_id: reg_id.unwrap_or(0),
            expires,
        })
    }

    /// The same flow of the same phone, or the same URI.
    fn is(&self, binding: &Binding) -> bool {
        let flow = |instance: &[u8], reg_id| !instance.is_empty() && reg_id > 0;
        if flow(&self.instance, self.reg_id) && flow(binding.instance(), binding.reg_id()) {
            return *self.instance == *binding.instance() && self.reg_id == binding.reg_id();
        }
        *binding.uri() == *self.address.uri
            || Uri::parse(binding.uri()).is_ok_and(|uri| same_uri(&uri, &self.uri))
    }

    fn expires(&self, limits: &Limits) -> Result<Duration, Answer> {
        let Some(asked) = self.expires else {
            return Ok(limits.default_expires);
        };
        let asked = Duration::from_secs(asked.into());
        if !asked.is_zero() && asked < limits.min_expires.min(HOUR) {
            let min = limits.min_expires.as_secs().to_string();
            return Err(Answer::new(423).with("Min-Expires", min));
        }
        Ok(asked.min(limits.max_expires))
    }
}

/// Step 2: option tags we do not know (RFC 3261 8.2.2.3).
fn required(request: View<'_>) -> Result<(), Answer> {
    let unknown: Vec<_> = request
        .values(HeaderId::Require)
        .filter(|tag| {
            !tag.is_empty()
                && !SUPPORTED
                    .iter()
                    .any(|known| tag.eq_ignore_ascii_case(known))
        })
        .map(String::from_utf8_lossy)
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Answer::new(420).with("Unsupported", unknown.join(", ")))
}

/// The Path of the request in one list. A client that does not say that it knows Path would not know of the proxies on its
/// way, so it is refused (RFC 3327 5.3).
fn path(request: View<'_>) -> Result<Vec<u8>, Answer> {
    if request.header(HeaderId::Path).is_none() {
        return Ok(Vec::new());
    }
    let mut path = Vec::new();
    for value in request.values(HeaderId::Path).filter(|v| !v.is_empty()) {
        let hop = NameAddr::parse(value).ok().filter(|hop| hop.angled);
        if hop.is_none_or(|hop| hop.uri().is_err()) {
            return Err(Answer::because(400, "Malformed Path"));
        }
        if !path.is_empty() {
            path.extend_from_slice(b", ");
        }
        path.extend_from_slice(value);
    }
    let supported = [HeaderId::Supported, HeaderId::Require]
        .into_iter()
        .flat_map(|id| request.values(id))
        .any(|tag| tag.eq_ignore_ascii_case(b"path"));
    if !path.is_empty() && !supported {
        return Err(Answer::new(420).with("Unsupported", "path"));
    }
    Ok(path)
}

fn asked(request: View<'_>) -> Result<Asked<'_>, Answer> {
    let header = request.header(HeaderId::Expires);
    // A value that cannot be read means the default.
    let expires = header.and_then(seconds);
    let mut contacts = Vec::new();
    let mut wildcard = false;
    for value in request.values(HeaderId::Contact).filter(|v| !v.is_empty()) {
        if value == b"*" {
            wildcard = true;
        } else {
            contacts.push(Contact::read(value, expires)?);
        }
    }
    match (wildcard, contacts.is_empty()) {
        (false, true) => Ok(Asked::Query),
        (false, false) => Ok(Asked::Contacts(contacts)),
        (true, true) if expires == Some(0) => Ok(Asked::RemoveAll),
        (true, true) => Err(Answer::because(400, "Contact * Needs Expires 0")),
        (true, false) => Err(Answer::because(400, "Contact * With Other Contacts")),
    }
}
