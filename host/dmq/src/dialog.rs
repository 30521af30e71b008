//! The channel `dialog`: calls as they begin, go on and end, and all of them for those that join.
//!
//! A call is created once (action 1) and then changes by state (2) until it is removed (3). It is named by two numbers, the first of
//! which is a hash of its Call-ID ([`entry_of`]): members must agree on how many there are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::envelope::MAX_BODY;
use crate::htable::Malformed;

pub use switchhook_sip::dialog::{ENTRIES, Id, State, entry_of, read_route_param, route_param};

/// The channel.
pub const CHANNEL: &str = "dialog";
/// The most variables of a dialog.
pub const MAX_VARS: usize = 64;

const CREATE: i64 = 1;
const STATE: i64 = 2;
const REMOVE: i64 = 3;
const SYNC: i64 = 4;

/// One side of a call. Texts are empty where not known yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leg {
    /// Its tag.
    pub tag: String,
    /// Its last CSeq number, as text.
    pub cseq: String,
    /// The way to it, a list of Route values.
    pub route_set: String,
    /// Its Contact.
    pub contact: String,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    /// Its name.
    pub id: Id,
    /// When its INVITE came, in seconds since 1970.
    pub begun: u64,
    /// Its Call-ID.
    pub call_id: String,
    /// From.
    pub from_uri: String,
    /// To.
    pub to_uri: String,
    /// The request URI of its INVITE.
    pub req_uri: String,
    /// How far it is.
    pub state: State,
    /// When it was answered, in seconds since 1970; 0: not yet.
    pub answered: u64,
    /// How long it may last, in seconds; 0: not told.
    pub lifetime: u32,
    /// Who called.
    pub caller: Leg,
    /// Who was called.
    pub callee: Leg,
    /// Variables.
    pub vars: BTreeMap<String, String>,
    /// Profiles as they are written on the bus: JSON within JSON.
    pub profiles: String,
}

/// A profile that a dialog is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The value that the dialog is in it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What tells this dialog from others in the profile.
    #[serde(default)]
    puid: String,
}

#[derive(Serialize, Deserialize, Default)]
struct Profiles {
    profiles: Vec<Profile>,
}

impl Dialog {
    /// Its profiles; none where they cannot be read.
    pub fn read_profiles(&self) -> Vec<Profile> {
        let read = serde_json::from_str::<Profiles>(&self.profiles);
        read.unwrap_or_default().profiles
    }

    /// Puts it into these profiles, each a name with a value where it has one.
    pub fn set_profiles<'a>(
        &mut self,
        profiles: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) {
        let id = self.id;
        let written = profiles.into_iter().enumerate();
        let profiles: Vec<_> = written
            .map(|(n, (name, value))| Profile {
                name: name.to_owned(),
                value: value.map(str::to_owned),
                puid: format!("swhk-{:x}-{:x}-{n}", id.entry, id.number),
            })
            .collect();
        self.profiles = match profiles.as_slice() {
            [] => String::new(),
            // Writing into a string cannot fail.
            _ => serde_json::to_string(&Profiles { profiles }).unwrap_or_default(),
        };
    }
}

/// What is told of a dialog's going on. A text that is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Which dialog.
    pub id: Id,
    /// How far it is now.
    pub state: State,
    /// When it was answered.
    pub answered: Option<u64>,
    /// How long it may last, in seconds.
    pub lifetime: Option<u32>,
    /// Who called.
    pub caller: Option<Leg>,
    /// Who was called.
    pub callee: Option<Leg>,
}

impl Update {
    /// Carries the update out. A call never goes back: `false` where this would.
    pub fn apply(&self, dialog: &mut Dialog) -> bool {
        if self.state < dialog.state {
            return false;
        }
        dialog.state = self.state;
        dialog.answered = self.answered.unwrap_or(dialog.answered);
        dialog.lifetime = self.lifetime.unwrap_or(dialog.lifetime);
        for (leg, new) in [
            (&mut dialog.caller, &self.caller),
            (&mut dialog.callee, &self.callee),
        ] {
            if let Some(new) = new {
                leg.clone_from(new);
            }
        }
        true
    }
}

/// A dialog that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is created, or told anew with all it has.
    Save(Box<Dialog>),
    /// It goes on.
    State(Box<Update>),
    /// It is gone.
    Remove(Id),
}

impl Change {
    /// The dialog's name.
    pub fn id(&self) -> Id {
        match self {
            Self::Save(dialog) => dialog.id,
            Self::State(update) => update.id,
            Self::Remove(id) => *id,
        }
    }
}

/// A message of the channel, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// All dialogs are asked for.
    Ask,
    /// A dialog changes.
    Change(Change),
}

#[derive(Serialize, Deserialize, Default)]
struct Wire {
    action: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    h_entry: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    h_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_ts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    req_uri: Option<String>,
    /// Behind the names where a dialog goes on, behind all where it is created: as Kamailio writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_ts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cseq1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cseq2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_set1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_set2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vars: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profiles: Option<String>,
}

impl Wire {
    fn id(&self) -> Result<Id, Malformed> {
        match (self.h_entry, self.h_id) {
            (Some(entry), Some(number)) => Ok(Id { entry, number }),
            _ => Err(Malformed(
                "expected the keys `h_entry` and `h_id`".to_owned(),
            )),
        }
    }

    fn state(&self) -> Result<Option<State>, Malformed> {
        let state = |number| {
            State::of(number)
                .ok_or_else(|| Malformed(format!("expected a state of 1 to 5, got {number}")))
        };
        self.state.map(state).transpose()
    }

    fn read(mut self) -> Result<Message, Malformed> {
        let lacks = |what| Malformed(format!("expected the key `{what}`"));
        let change = match self.action {
            SYNC => return Ok(Message::Ask),
            REMOVE => Change::Remove(self.id()?),
            STATE => {
                let (caller, callee) = self.legs();
                Change::State(Box::new(Update {
                    id: self.id()?,
                    state: self.state()?.ok_or_else(|| lacks("state"))?,
                    answered: self.start_ts,
                    lifetime: self.lifetime,
                    caller,
                    callee,
                }))
            }
            CREATE => {
                let (caller, callee) = self.legs();
                let text = |text: &mut Option<String>| text.take().unwrap_or_default();
                let vars = self.vars.take().unwrap_or_default();
                if vars.len() > MAX_VARS {
                    return Err(Malformed(format!("vars: expected at most {MAX_VARS}")));
                }
                Change::Save(Box::new(Dialog {
                    id: self.id()?,
                    begun: self.init_ts.unwrap_or(0),
                    call_id: self.callid.take().ok_or_else(|| lacks("callid"))?,
                    from_uri: text(&mut self.from_uri),
                    to_uri: text(&mut self.to_uri),
                    req_uri: text(&mut self.req_uri),
                    state: self.state()?.unwrap_or(State::Unconfirmed),
                    answered: self.start_ts.unwrap_or(0),
                    lifetime: self.lifetime.unwrap_or(0),
                    caller: caller.unwrap_or_default(),
                    callee: callee.unwrap_or_default(),
                    vars,
                    profiles: text(&mut self.profiles),
                }))
            }
            other => {
                return Err(Malformed(format!(
                    "expected an action of 1 to 4, got {other}"
                )));
            }
        };
        Ok(Message::Change(change))
    }

    fn legs(&mut self) -> (Option<Leg>, Option<Leg>) {
        let leg = |tag: Option<String>, rest: [&mut Option<String>; 3]| {
            let [cseq, route_set, contact] = rest.map(|text| text.take().unwrap_or_default());
            Some(Leg {
                tag: tag?,
                cseq,
                route_set,
                contact,
            })
        };
        let caller = [&mut self.cseq1, &mut self.route_set1, &mut self.contact1];
        let caller = leg(self.tag1.take(), caller);
        let callee = [&mut self.cseq2, &mut self.route_set2, &mut self.contact2];
        (caller, leg(self.tag2.take(), callee))
    }

    fn with_legs(mut self, caller: Option<&Leg>, callee: Option<&Leg>) -> Self {
        if let Some(leg) = caller {
            self.tag1 = Some(leg.tag.clone());
            self.cseq1 = Some(leg.cseq.clone());
            self.route_set1 = Some(leg.route_set.clone());
            self.contact1 = Some(leg.contact.clone());
        }
        if let Some(leg) = callee.filter(|leg| !leg.tag.is_empty()) {
            self.tag2 = Some(leg.tag.clone());
            self.cseq2 = Some(leg.cseq.clone());
            self.route_set2 = Some(leg.route_set.clone());
            self.contact2 = Some(leg.contact.clone());
        }
        self
    }
}

/// Reads a body.
pub fn read(body: &[u8]) -> Result<Message, Malformed> {
    // Kamailio writes some keys twice: the last one counts.
    let value: serde_json::Value = serde_json::from_slice(body)?;
    let wire: Wire = serde_json::from_value(value)?;
    wire.read()
}

/// `{"action":4}`: asks for all dialogs.
pub(crate) fn ask() -> String {
    format!("{{\"action\":{SYNC}}}")
}

/// The body of a change. `None` where it would be longer than a message may be.
pub fn write(change: &Change) -> Option<String> {
    let id = change.id();
    let named = Wire {
        h_entry: Some(id.entry),
        h_id: Some(id.number),
        ..Wire::default()
    };
    let wire = match change {
        Change::Remove(_) => Wire {
            action: REMOVE,
            state: Some(State::Deleted.number()),
            ..named
        },
        Change::State(update) => Wire {
            action: STATE,
            state: Some(update.state.number()),
            start_ts: update.answered,
            lifetime: update.lifetime,
            ..named
        }
        .with_legs(update.caller.as_ref(), update.callee.as_ref()),
        Change::Save(dialog) => {
            let confirmed = (dialog.state != State::Unconfirmed).then_some(());
            Wire {
                action: CREATE,
                init_ts: Some(dialog.begun),
                callid: Some(dialog.call_id.clone()),
                from_uri: Some(dialog.from_uri.clone()),
                to_uri: Some(dialog.to_uri.clone()),
                req_uri: Some(dialog.req_uri.clone()),
                state: Some(dialog.state.number()),
                start_ts: confirmed.map(|()| dialog.answered),
                lifetime: confirmed.map(|()| dialog.lifetime),
                vars: Some(dialog.vars.clone()),
                profiles: (!dialog.profiles.is_empty()).then(|| dialog.profiles.clone()),
                ..named
            }
            .with_legs(Some(&dialog.caller), Some(&dialog.callee))
        }
    };
    // Writing into a string cannot fail.
    let body = serde_json::to_string(&wire).ok()?;
    (body.len() <= MAX_BODY).then_some(body)
}

#[cfg(test)]
mod tests;
