//! Dialogs as the store has them and as the bus tells them. Instants become seconds since 1970 and back, within bounds: what another
//! clock says shortens no call to less than [`LEAST`], and lengthens none.
//!
//! An answer whose ACK has not been seen ([`State::ConfirmedUnacked`]) is told as ringing still: Kamailio tells of a call with its ACK,
//! too. An ACK that comes to another node confirms the call there.

use std::time::Duration;

use switchhook_dmq::dialog::{self as wire, Update};
use switchhook_dmq::{Change, Now, Refused};
use switchhook_sip::dialog::State;
use switchhook_store::dialogs::dialog::{Dialog, Leg, Membership};
use switchhook_store::dialogs::{Moved, WatchDialogs};
use switchhook_store::{DialogError, Dialogs};

use super::mailbox::{Mailbox, now};
use super::wire::{instant_of, unix_of};

/// What is left at least of a call that another node says was answered long ago.
const LEAST: Duration = Duration::from_secs(60);
/// The longest life that another node gives a call.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// Tells the bus what happens to dialogs.
pub(super) struct DialogWatch(pub(super) Mailbox);

impl WatchDialogs for DialogWatch {
    fn moved(&self, moved: Moved<'_>) {
        let now = now();
        let change = match moved {
            Moved::Saved(dialog) => wire::Change::Save(Box::new(to_wire(now, dialog))),
            Moved::State(dialog) if dialog.state == State::ConfirmedUnacked => return,
            Moved::State(dialog) => {
                let told = to_wire(now, dialog);
                wire::Change::State(Box::new(Update {
                    id: told.id,
                    state: told.state,
                    answered: Some(told.answered),
                    lifetime: Some(told.lifetime),
                    caller: Some(told.caller),
                    callee: Some(told.callee).filter(|callee| !callee.tag.is_empty()),
                }))
            }
            Moved::Removed(id) => wire::Change::Remove(id),
        };
        self.0.change(Change::Dialog(change));
    }
}

/// A dialog as it is told.
pub(super) fn to_wire(now: Now, dialog: &Dialog) -> wire::Dialog {
    let leg = |leg: &Leg| wire::Leg {
        tag: leg.tag.to_string(),
        cseq: leg.cseq.to_string(),
        route_set: leg.route_set.to_string(),
        contact: leg.contact.to_string(),
    };
    let acked = dialog.state != State::ConfirmedUnacked;
    let answered = dialog.answered.filter(|_| acked);
    let mut told = wire::Dialog {
        id: dialog.id,
        begun: unix_of(now, dialog.begun),
        call_id: dialog.call_id.to_string(),
        from_uri: dialog.from_uri.to_string(),
        to_uri: dialog.to_uri.to_string(),
        req_uri: dialog.req_uri.to_string(),
        state: if acked { dialog.state } else { State::Early },
        answered: answered.map_or(0, |answered| unix_of(now, answered)),
        lifetime: u32::try_from(dialog.lifetime.as_secs()).unwrap_or(u32::MAX),
        caller: leg(&dialog.caller),
        callee: leg(&dialog.callee),
        vars: dialog
            .vars
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        profiles: String::new(),
    };
    let profiles = dialog.profiles.iter();
    told.set_profiles(profiles.map(|m| (&*m.profile, m.value.as_deref())));
    told
}

/// Makes a change that came from a member.
pub(super) fn apply(now: Now, dialogs: &Dialogs, change: &wire::Change) -> Result<(), Refused> {
    let replica = dialogs.replica();
    let refused = |error| match error {
        DialogError::Unknown => Refused::Unknown,
        DialogError::Full { .. } => Refused::Full,
    };
    match change {
        wire::Change::Save(told) => {
            let dialog = from_wire(now, told, dialogs.limits().lifetime);
            replica.save(now.at, dialog).map_err(refused)
        }
        wire::Change::State(update) => replica
            .go_on(now.at, update.id, |dialog| go_on(now, dialog, update))
            .map(drop)
            .map_err(refused),
        wire::Change::Remove(id) => match replica.remove(*id) {
            true => Ok(()),
            false => Err(Refused::Unknown),
        },
    }
}

fn from_wire(now: Now, told: &wire::Dialog, usual: Duration) -> Dialog {
    let profiles = told.read_profiles().into_iter();
    let mut dialog = Dialog {
        id: told.id,
        state: told.state,
        here: false,
        begun: now.at,
        answered: None,
        lifetime: usual,
        call_id: told.call_id.as_str().into(),
        from_uri: told.from_uri.as_str().into(),
        to_uri: told.to_uri.as_str().into(),
        req_uri: told.req_uri.as_str().into(),
        caller: leg_of(&told.caller),
        callee: leg_of(&told.callee),
        vars: told
            .vars
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect(),
        profiles: profiles
            .map(|profile| Membership {
                profile: profile.name.into(),
                value: profile.value.map(Into::into),
            })
            .collect(),
    };
    answered(now, &mut dialog, Some(told.answered), Some(told.lifetime));
    if let Some(then) = dialog.answered {
        // It rang before that, as long as its node says and no longer than a call may.
        let rang = told.answered.saturating_sub(told.begun).min(600);
        dialog.begun = then.checked_sub(Duration::from_secs(rang)).unwrap_or(then);
    }
    dialog
}

fn leg_of(leg: &wire::Leg) -> Leg {
    Leg {
        tag: leg.tag.as_str().into(),
        cseq: leg.cseq.parse().unwrap_or(0),
        route_set: leg.route_set.as_str().into(),
        contact: leg.contact.as_str().into(),
    }
}

/// Carries an update out. A call never goes back: `false` where this would.
fn go_on(now: Now, dialog: &mut Dialog, update: &Update) -> bool {
    if update.state < dialog.state {
        return false;
    }
    dialog.state = update.state;
    answered(now, dialog, update.answered, update.lifetime);
    for (leg, new) in [
        (&mut dialog.caller, &update.caller),
        (&mut dialog.callee, &update.callee),
    ] {
        if let Some(new) = new {
            *leg = leg_of(new);
        }
    }
    true
}

/// When a call was answered and how long it may last, by our clock.
fn answered(now: Now, dialog: &mut Dialog, unix: Option<u64>, lifetime: Option<u32>) {
    if let Some(seconds) = lifetime.filter(|seconds| *seconds > 0) {
        dialog.lifetime = Duration::from_secs(seconds.into()).min(LONGEST);
    }
    if !dialog.state.is_confirmed() || dialog.answered.is_some() {
        return;
    }
    let most = dialog.lifetime.saturating_sub(LEAST);
    let then = match unix {
        None | Some(0) => now.at,
        Some(unix) => instant_of(now, unix),
    };
    let earliest = now.at.checked_sub(most).unwrap_or(now.at);
    dialog.answered = Some(then.max(earliest));
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use switchhook_store::DialogLimits;
    use switchhook_store::dialogs::Begin;
    use switchhook_store::dialogs::dialog::{Kind, Request, Response, Side};

    use super::*;

    fn call(table: &Dialogs, now: Now) -> switchhook_sip::dialog::Id {
        let begin = Begin {
            call_id: "c1",
            tag: "a",
            cseq: 7,
            from_uri: "sip:alice@example.test",
            to_uri: "sip:bob@example.test",
            req_uri: "sip:bob@192.0.2.7",
            contact: "sip:alice@192.0.2.1",
            route_set: "<sip:192.0.2.3;lr>",
        };
        let id = table.begin(now.at, &begin).unwrap();
        table.set_var(id, "foo", Some("bar")).unwrap();
        table.enter(id, "caller", Some("alice")).unwrap();
        let response = Response {
            status: 200,
            tag: "b",
            contact: "sip:bob@192.0.2.7",
            route_set: "",
        };
        table.answered(now.at, id, &response);
        id
    }

    fn confirm(table: &Dialogs, now: Now, id: switchhook_sip::dialog::Id) {
        let ack = Request {
            kind: Kind::Ack,
            cseq: 7,
            contact: "",
        };
        table.requested(now.at, id, Side::Caller, &ack);
    }

    #[test]
    fn a_dialog_comes_to_another_node_as_it_is() {
        let now = Now {
            at: Instant::now() + Duration::from_secs(10_000),
            unix_ms: 1_795_252_744_000,
        };
        let here = Dialogs::new(now.at, DialogLimits::default());
        let there = Dialogs::new(now.at, DialogLimits::default());
        let id = call(&here, now);
        let ringing = here.read(id, |dialog| to_wire(now, dialog)).unwrap();
        assert_eq!((ringing.state, ringing.answered), (State::Early, 0));
        confirm(&here, now, id);
        let told = here.read(id, |dialog| to_wire(now, dialog)).unwrap();
        let change = wire::Change::Save(Box::new(told.clone()));
        apply(now, &there, &change).unwrap();
        let known = there.read(id, |dialog| to_wire(now, dialog)).unwrap();
        assert_eq!(known, told);
        assert_eq!(there.size("caller", Some("alice")), 1);
        assert_eq!(there.find("c1", "b", "a"), Some((id, Side::Callee)));
        assert!(there.read(id, |dialog| !dialog.here).unwrap());
        apply(now, &there, &wire::Change::Remove(id)).unwrap();
        let gone = apply(now, &there, &wire::Change::Remove(id));
        assert_eq!(gone, Err(Refused::Unknown));
    }

    #[test]
    fn an_hour_of_skew_bounds_the_life_of_a_call_both_ways() {
        let now = Now {
            at: Instant::now() + Duration::from_secs(10_000),
            unix_ms: 1_795_252_744_000,
        };
        let here = Dialogs::new(now.at, DialogLimits::default());
        let id = call(&here, now);
        here.set_lifetime(now.at, id, Duration::from_secs(600))
            .unwrap();
        confirm(&here, now, id);
        for (skew, left) in [(3600, 60), (0, 600), (-3600, 600)] {
            let there = Dialogs::new(now.at, DialogLimits::default());
            let told = here.read(id, |dialog| to_wire(now, dialog)).unwrap();
            let theirs = Now {
                unix_ms: now.unix_ms.saturating_add_signed(skew * 1000),
                ..now
            };
            apply(theirs, &there, &wire::Change::Save(Box::new(told))).unwrap();
            let grace = there.limits().grace;
            let found = there.left(now.at, id).unwrap() - grace;
            assert_eq!(found, Duration::from_secs(left), "{skew}");
        }
    }
}
