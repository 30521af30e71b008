//! The dialogs that scripts have tracked: where they are found, when they end, which profiles they are in.
//!
//! Owns the dialogs and their timers. What a message does to one is [`dialog`]'s (RFC 3261 section 12); which messages are of which
//! call, and what follows, is the engine's. Safe from every lane: dialogs are spread over [`SHARDS`] locks by the hash of their Call-ID,
//! and one changes in one step. Time is passed in; [`Dialogs::expire`] gives out what time brought about and must be called
//! regularly.
//!
//! A dialog is found by its name ([`Id`], which stands in our Record-Route) or by Call-ID and tags. One that has ended stays for
//! [`DialogLimits::linger`] as [`State::Deleted`], so that routes of its end can read it and late requests find it; it counts in no
//! profile any more.
//!
//! What other nodes tell goes in by [`Dialogs::replica`]: it is not told again, and its end is no event here, but where this node
//! saw the message that ended it. So each event happens once among the nodes.
//!
//! Limits: [`DialogLimits::max`] dialogs, those that have ended included; a further one is refused and the call goes on untracked.
//! Texts, variables and profiles of each are bounded by the constants of [`dialog`]. At most 2 kB a dialog of a usual call.

pub mod bye;
pub mod dialog;
mod profiles;
mod replica;
mod shard;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use switchhook_sip::dialog::{ENTRIES, Id, State, entry_of};
use switchhook_sip::transaction::timers::Clock;

use dialog::{
    Dialog, Event, Leg, MAX_PROFILE, MAX_PROFILES, MAX_TEXT, MAX_VAR, MAX_VARS, Membership,
    Request, Response, Side,
};
use profiles::Profiles;
use shard::{Shard, Slot};

pub use replica::Replica;

/// How many locks there are.
pub const SHARDS: usize = 64;

/// How many and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialogLimits {
    /// Dialogs at once.
    pub max: usize,
    /// Entries that names are spread over, a power of two; nodes that share dialogs must agree.
    pub entries: u32,
    /// How long a call may last, unless told otherwise.
    pub lifetime: Duration,
    /// How long it may ring.
    pub ringing: Duration,
    /// How long an answer waits for its ACK.
    pub unacked: Duration,
    /// How long one that has ended is kept.
    pub linger: Duration,
    /// How long another node's is kept beyond its end, for that node to tell of it.
    pub grace: Duration,
    /// Whether both sides of a call whose time is over are to be sent a BYE, unless told otherwise.
    pub bye: bool,
}

impl Default for DialogLimits {
    fn default() -> Self {
        Self {
            max: 100_000,
            entries: ENTRIES,
            lifetime: Duration::from_secs(12 * 3600),
            ringing: Duration::from_secs(300),
            unacked: Duration::from_secs(60),
            linger: Duration::from_secs(5),
            grace: Duration::from_secs(30),
            bye: false,
        }
    }
}

/// Why something was not done with a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    /// There is none of that name, or it has ended.
    #[error("expected a dialog that goes on")]
    Unknown,
    /// A limit is reached.
    #[error("expected at most {limit} {what}")]
    Full {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
}

/// The INVITE that a dialog begins with.
#[derive(Debug, Clone, Copy)]
pub struct Begin<'a> {
    /// Its Call-ID.
    pub call_id: &'a str,
    /// The From tag.
    pub tag: &'a str,
    /// The CSeq number.
    pub cseq: u32,
    /// The URI of From.
    pub from_uri: &'a str,
    /// The URI of To.
    pub to_uri: &'a str,
    /// The request URI.
    pub req_uri: &'a str,
    /// The URI of its Contact.
    pub contact: &'a str,
    /// The way from us to who sent it.
    pub route_set: &'a str,
}

/// A dialog that was changed here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moved<'a> {
    /// It is new, or its variables or profiles are.
    Saved(&'a Dialog),
    /// It has gone on.
    State(&'a Dialog),
    /// It is gone.
    Removed(Id),
}

/// Is told of changes. It is called under a lock of the table: it must be quick, and must not use the table.
pub trait WatchDialogs: Send + Sync {
    /// A dialog has changed.
    fn moved(&self, moved: Moved<'_>);
}

/// See the module's header.
pub struct Dialogs {
    shards: Box<[Mutex<Shard>]>,
    hasher: ahash::RandomState,
    clock: Clock,
    limits: DialogLimits,
    profiles: Profiles,
    watch: Option<Arc<dyn WatchDialogs>>,
    count: AtomicUsize,
    serial: AtomicU64,
    /// The shard that [`Dialogs::expire`] begins with next.
    turn: AtomicUsize,
}

impl std::fmt::Debug for Dialogs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialogs")
            .field("limits", &self.limits)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Dialogs {
    /// An empty table; no time before `now` will be given.
    pub fn new(now: Instant, limits: DialogLimits) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: ahash::RandomState::new(),
            clock: Clock::new(now),
            limits,
            profiles: Profiles::default(),
            watch: None,
            count: AtomicUsize::new(0),
            serial: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// Has the changes that are made here told to somebody.
    pub fn watch(&mut self, watch: Arc<dyn WatchDialogs>) {
        self.watch = Some(watch);
    }

    /// What it was made with.
    pub fn limits(&self) -> &DialogLimits {
        &self.limits
    }

    /// Tracks the dialog that an INVITE begins. The same INVITE again, on another way here, is the same dialog. It is told when
    /// it is [settled](Dialogs::settle).
    pub fn begin(&self, now: Instant, begin: &Begin<'_>) -> Result<Id, DialogError> {
        let text = [
            begin.call_id,
            begin.tag,
            begin.from_uri,
            begin.to_uri,
            begin.req_uri,
            begin.contact,
            begin.route_set,
        ];
        if text.iter().map(|text| text.len()).sum::<usize>() > MAX_TEXT {
            return Err(full("bytes of a dialog's texts", MAX_TEXT));
        }
        let entry = entry_of(begin.call_id.as_bytes(), self.limits.entries);
        let mut shard = self.lock(entry);
        let same = |dialog: &Dialog| {
            dialog.state < State::ConfirmedUnacked
                && *dialog.caller.tag == *begin.tag
                && dialog.caller.cseq == begin.cseq
        };
        let known = shard.of_call(self.call_hash(begin.call_id), begin.call_id, same);
        if let Some(id) = known {
            return Ok(id);
        }
        self.reserve()?;
        let id = loop {
            // Not to be guessed, and not another node's; 31 bits, as others read it into an int.
            let serial = self.serial.fetch_add(1, Ordering::Relaxed);
            let number = (self.hasher.hash_one(serial) >> 33) as u32;
            let id = Id { entry, number };
            if number > 0 && shard.get(id).is_none() {
                break id;
            }
        };
        let dialog = Dialog {
            id,
            state: State::Unconfirmed,
            here: true,
            begun: now,
            answered: None,
            lifetime: self.limits.lifetime,
            call_id: begin.call_id.into(),
            from_uri: begin.from_uri.into(),
            to_uri: begin.to_uri.into(),
            req_uri: begin.req_uri.into(),
            caller: Leg {
                tag: begin.tag.into(),
                cseq: begin.cseq,
                route_set: begin.route_set.into(),
                contact: begin.contact.into(),
            },
            callee: Leg::default(),
            vars: Vec::new(),
            profiles: Vec::new(),
        };
        self.insert(now, &mut shard, dialog, true);
        Ok(id)
    }

    /// The dialog of that Call-ID and tags that goes on, and which side sent what has them.
    pub fn find(&self, call_id: &str, from_tag: &str, to_tag: &str) -> Option<(Id, Side)> {
        let entry = entry_of(call_id.as_bytes(), self.limits.entries);
        let shard = self.lock(entry);
        let side = |dialog: &Dialog| match dialog.state {
            State::Deleted => None,
            _ => dialog.side(call_id, from_tag, to_tag),
        };
        let hash = self.call_hash(call_id);
        let id = shard.of_call(hash, call_id, |dialog| side(dialog).is_some())?;
        Some((id, side(&shard.get(id)?.dialog)?))
    }

    /// Whether a request of that Call-ID and tags is of the dialog that its Route names, and which side sent it.
    pub fn side(&self, id: Id, call_id: &str, from_tag: &str, to_tag: &str) -> Option<Side> {
        let shard = self.lock(id.entry);
        shard.get(id)?.dialog.side(call_id, from_tag, to_tag)
    }

    /// Reads a dialog under its lock: `read` must not use this table.
    pub fn read<R>(&self, id: Id, read: impl FnOnce(&Dialog) -> R) -> Option<R> {
        let shard = self.lock(id.entry);
        shard.get(id).map(|slot| read(&slot.dialog))
    }

    /// How long until a dialog's timer fires.
    pub fn left(&self, now: Instant, id: Id) -> Option<Duration> {
        let shard = self.lock(id.entry);
        let slot = shard.get(id)?;
        Some(slot.ends.saturating_duration_since(now))
    }

    /// A response to its INVITE went to the caller.
    pub fn answered(&self, now: Instant, id: Id, response: &Response<'_>) -> Option<Event> {
        self.step(now, id, |dialog| (dialog.answer(now, response), false))
    }

    /// A request within it was sent on.
    pub fn requested(
        &self,
        now: Instant,
        id: Id,
        side: Side,
        request: &Request<'_>,
    ) -> Option<Event> {
        self.step(now, id, |dialog| dialog.request(now, side, request))
    }

    /// Its INVITE will not be answered.
    pub fn fail(&self, now: Instant, id: Id) -> Option<Event> {
        self.step(now, id, |dialog| (dialog.fail(), false))
    }

    /// A 2xx to an INVITE or UPDATE within it came from that side: its Contact is the side's new one (RFC 3261 12.2.1.2).
    pub fn refreshed(&self, now: Instant, id: Id, side: Side, contact: &str) {
        self.step(now, id, |dialog| (None, dialog.refresh(side, contact)));
    }

    /// It is ended from here. `None` where it was not answered, or has ended.
    pub fn end(&self, now: Instant, id: Id) -> Option<Event> {
        self.step(now, id, |dialog| (dialog.end(), false))
    }

    /// `step` says what befell the dialog, and whether one of its sides has another Contact.
    fn step(
        &self,
        now: Instant,
        id: Id,
        step: impl FnOnce(&mut Dialog) -> (Option<Event>, bool),
    ) -> Option<Event> {
        let mut shard = self.lock(id.entry);
        let slot = shard.get_mut(id)?;
        let before = slot.dialog.state;
        let (event, refreshed) = step(&mut slot.dialog);
        // Who saw it end tells that it is gone.
        slot.dialog.here |= event.is_some();
        if slot.dialog.state != before {
            self.arm(now, &mut shard, id);
        }
        let slot = shard.get_mut(id)?;
        if slot.dialog.state == State::Deleted && before != State::Deleted {
            self.leave_profiles(&slot.dialog);
        }
        // What was not told at all is told whole.
        let moved = if std::mem::take(&mut slot.changed) {
            Some(Moved::Saved(&slot.dialog))
        } else if slot.dialog.state != before || refreshed {
            Some(Moved::State(&slot.dialog))
        } else {
            None
        };
        if let Some(moved) = moved {
            self.tell(moved);
        }
        event
    }

    /// Tells of a dialog that began or whose variables or profiles changed, once the route that did it has ended.
    pub fn settle(&self, id: Id) {
        let mut shard = self.lock(id.entry);
        if let Some(slot) = shard.get_mut(id)
            && std::mem::take(&mut slot.changed)
        {
            self.tell(Moved::Saved(&slot.dialog));
        }
    }

    /// Forgets a dialog whose INVITE goes nowhere, as if it had never been.
    pub fn forget(&self, id: Id) {
        let mut shard = self.lock(id.entry);
        if let Some(slot) = shard.remove(id, &self.hasher) {
            self.gone(&slot);
            if !slot.changed {
                self.tell(Moved::Removed(id));
            }
        }
    }

    /// Sets a variable, or removes it.
    pub fn set_var(&self, id: Id, name: &str, value: Option<&str>) -> Result<(), DialogError> {
        if name.len() + value.map_or(0, str::len) > MAX_VAR {
            return Err(full("bytes of a variable", MAX_VAR));
        }
        self.change(id, |dialog| {
            let at = dialog.vars.iter().position(|(known, _)| **known == *name);
            match (at, value) {
                (Some(at), None) => drop(dialog.vars.swap_remove(at)),
                (Some(at), Some(value)) => {
                    if let Some((_, known)) = dialog.vars.get_mut(at) {
                        *known = value.into();
                    }
                }
                (None, Some(value)) if dialog.vars.len() < MAX_VARS => {
                    dialog.vars.push((name.into(), value.into()));
                }
                (None, Some(_)) => return Err(full("variables of a dialog", MAX_VARS)),
                (None, None) => {}
            }
            Ok(())
        })
    }

    /// Counts it in a profile. It is in each once.
    pub fn enter(&self, id: Id, profile: &str, value: Option<&str>) -> Result<(), DialogError> {
        if profile.len() + value.map_or(0, str::len) > MAX_PROFILE {
            return Err(full("bytes of a profile", MAX_PROFILE));
        }
        self.change(id, |dialog| {
            if is_in(dialog, profile, value).is_some() {
                return Ok(());
            }
            if dialog.profiles.len() >= MAX_PROFILES {
                return Err(full("profiles of a dialog", MAX_PROFILES));
            }
            let membership = Membership {
                profile: profile.into(),
                value: value.map(Into::into),
            };
            self.profiles.enter(&membership);
            dialog.profiles.push(membership);
            Ok(())
        })
    }

    /// Takes it out of a profile; tells whether it was in it.
    pub fn leave(&self, id: Id, profile: &str, value: Option<&str>) -> Result<bool, DialogError> {
        self.change(id, |dialog| {
            let Some(at) = is_in(dialog, profile, value) else {
                return Ok(false);
            };
            self.profiles.leave(&dialog.profiles.swap_remove(at));
            Ok(true)
        })
    }

    /// Whether it is in a profile.
    pub fn is_in(&self, id: Id, profile: &str, value: Option<&str>) -> bool {
        self.read(id, |dialog| {
            dialog.state != State::Deleted && is_in(dialog, profile, value).is_some()
        })
        .unwrap_or(false)
    }

    /// How many dialogs are in a profile, or in that value of it.
    pub fn size(&self, profile: &str, value: Option<&str>) -> usize {
        self.profiles.size(profile, value)
    }

    /// Each profile with how many are in it, in order of their names.
    pub fn profiles(&self) -> Vec<(String, usize)> {
        self.profiles.sizes()
    }

    /// Sets how long it may last: of a call that was answered, from now.
    pub fn set_lifetime(
        &self,
        now: Instant,
        id: Id,
        lifetime: Duration,
    ) -> Result<(), DialogError> {
        self.change(id, |dialog| {
            dialog.lifetime = match dialog.answered {
                Some(answered) => lifetime + now.saturating_duration_since(answered),
                None => lifetime,
            };
            Ok(())
        })?;
        self.arm(now, &mut self.lock(id.entry), id);
        Ok(())
    }

    /// Sets whether both sides are to be sent a BYE when its time is over.
    pub fn set_bye(&self, id: Id, bye: bool) -> Result<(), DialogError> {
        let mut shard = self.lock(id.entry);
        let slot = shard.get_mut(id);
        let slot = slot.filter(|slot| slot.dialog.state != State::Deleted);
        slot.ok_or(DialogError::Unknown)?.bye = Some(bye);
        Ok(())
    }

    /// Whether both sides are to be sent a BYE when its time is over.
    pub fn wants_bye(&self, id: Id) -> bool {
        let shard = self.lock(id.entry);
        let slot = shard.get(id);
        slot.and_then(|slot| slot.bye).unwrap_or(self.limits.bye)
    }

    fn change<R>(
        &self,
        id: Id,
        change: impl FnOnce(&mut Dialog) -> Result<R, DialogError>,
    ) -> Result<R, DialogError> {
        let mut shard = self.lock(id.entry);
        let slot = shard.get_mut(id);
        let slot = slot
            .filter(|slot| slot.dialog.state != State::Deleted)
            .ok_or(DialogError::Unknown)?;
        let result = change(&mut slot.dialog)?;
        slot.changed = true;
        Ok(result)
    }

    /// What time has brought about: of each dialog, the event that is to be told. As many as asked for: there may be more.
    pub fn expire(&self, now: Instant, max: usize) -> Vec<(Id, Event)> {
        let time = self.clock.time(now);
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut events = Vec::new();
        for n in 0..SHARDS {
            let Some(lock) = self.shards.get(first.wrapping_add(n) % SHARDS) else {
                continue;
            };
            let mut shard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            while events.len() < max
                && let Some(id) = shard.due(time)
            {
                events.extend(self.over(now, &mut shard, id).map(|event| (id, event)));
            }
        }
        events
    }

    /// A dialog's timer has fired.
    fn over(&self, now: Instant, shard: &mut Shard, id: Id) -> Option<Event> {
        let slot = shard.get_mut(id)?;
        if slot.dialog.state == State::Deleted || !slot.dialog.here {
            let slot = shard.remove(id, &self.hasher)?;
            self.gone(&slot);
            if slot.dialog.here {
                self.tell(Moved::Removed(id));
            }
            return None;
        }
        let event = slot.dialog.time_out();
        slot.changed = false;
        self.leave_profiles(&slot.dialog);
        self.tell(Moved::State(&slot.dialog));
        self.arm(now, shard, id);
        event
    }

    /// Every dialog of one of [`SHARDS`] parts; `false` where there is none of that number. `each` must not use this table.
    pub fn each_of_part(&self, part: usize, mut each: impl FnMut(&Dialog)) -> bool {
        let Some(lock) = self.shards.get(part) else {
            return false;
        };
        let shard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        shard.each().for_each(|slot| each(&slot.dialog));
        true
    }

    /// How many there are, those that have just ended included.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same table for what other nodes tell.
    pub fn replica(&self) -> Replica<'_> {
        Replica::of(self)
    }

    /// Sets a dialog's timer for the state that it is in.
    fn arm(&self, now: Instant, shard: &mut Shard, id: Id) {
        let Some(slot) = shard.get(id) else {
            return;
        };
        let (dialog, limits) = (&slot.dialog, &self.limits);
        let grace = match dialog.here {
            true => Duration::ZERO,
            false => limits.grace,
        };
        let ends = match dialog.state {
            State::Deleted => now + limits.linger,
            State::Unconfirmed | State::Early => dialog.begun + limits.ringing + grace,
            State::ConfirmedUnacked => {
                dialog.answered.unwrap_or(now) + limits.unacked.min(dialog.lifetime) + grace
            }
            State::Confirmed => dialog.answered.unwrap_or(now) + dialog.lifetime + grace,
        };
        shard.set_timer(id, ends, self.clock.time(ends));
    }

    fn insert(&self, now: Instant, shard: &mut Shard, dialog: Dialog, changed: bool) {
        let id = dialog.id;
        let hash = self.call_hash(&dialog.call_id);
        if dialog.state != State::Deleted {
            dialog.profiles.iter().for_each(|m| self.profiles.enter(m));
        }
        shard.insert(hash, dialog, changed, now, &self.hasher);
        self.arm(now, shard, id);
    }

    /// One has been taken out.
    fn gone(&self, slot: &Slot) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        if slot.dialog.state != State::Deleted {
            self.leave_profiles(&slot.dialog);
        }
    }

    fn leave_profiles(&self, dialog: &Dialog) {
        dialog.profiles.iter().for_each(|m| self.profiles.leave(m));
    }

    fn reserve(&self) -> Result<(), DialogError> {
        let max = self.limits.max;
        let more = |count: usize| (count < max).then_some(count + 1);
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map(drop)
            .map_err(|_| full("dialogs", max))
    }

    fn tell(&self, moved: Moved<'_>) {
        if let Some(watch) = &self.watch {
            watch.moved(moved);
        }
    }

    fn call_hash(&self, call_id: &str) -> u64 {
        self.hasher.hash_one(call_id)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the remainder is below the number of shards"
    )]
    fn lock(&self, entry: u32) -> MutexGuard<'_, Shard> {
        let lock = &self.shards[entry as usize % SHARDS];
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn full(what: &'static str, limit: usize) -> DialogError {
    DialogError::Full { what, limit }
}

fn is_in(dialog: &Dialog, profile: &str, value: Option<&str>) -> Option<usize> {
    dialog
        .profiles
        .iter()
        .position(|m| *m.profile == *profile && m.value.as_deref() == value)
}

#[cfg(test)]
mod tests;
