//! The way to the bus's thread, from lanes, tables and the admin socket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use switchhook_dmq::envelope::Reply;
use switchhook_dmq::htable::Action;
use switchhook_dmq::members::{Kind, State};
use switchhook_dmq::{Bus, Change, Node, Now, envelope, usrloc};
use switchhook_sip::flow::Source;
use switchhook_sip::message::Message;
use switchhook_store::dialogs::WatchDialogs;
use switchhook_store::htable::{Watch, Written};
use switchhook_store::locations::{Moved, WatchContacts};

use super::QUEUE;
use super::dialogs::DialogWatch;
use super::wire::{Aors, pattern, to_wire, value};

/// Something to be done with the bus itself, on its thread.
type Work = Box<dyn FnOnce(&mut Bus, Now) + Send>;

/// What the bus's thread is told.
pub(super) enum Input {
    /// A message of the bus.
    Message(Arc<Message>, Source),
    /// A change made here.
    Change(Now, Change),
    /// Something to be done with the bus itself.
    Do(Work),
    /// Say goodbye and end.
    Stop,
}

/// The bus has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bus has ended")]
pub struct Gone;

/// See the module's header. Cheap to clone.
#[derive(Clone)]
pub struct Mailbox {
    inputs: SyncSender<Input>,
    /// Changes were lost because the queue was full.
    lost: Arc<AtomicBool>,
    /// Who is on the bus, as lanes see it.
    view: Arc<RwLock<Arc<View>>>,
}

/// Who is on the bus, as it was a moment ago.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Our own address; none before the bus has begun.
    pub(super) own: Option<Node>,
    /// The members, in the order of their addresses.
    pub(super) members: Vec<(Node, State, Kind)>,
}

/// The other end: where the bus's thread sits.
pub struct Seat {
    pub(super) inputs: Receiver<Input>,
    pub(super) lost: Arc<AtomicBool>,
    pub(super) view: Arc<RwLock<Arc<View>>>,
}

impl Seat {
    /// Has lanes see who is on the bus.
    pub(super) fn show(&self, bus: &Bus) {
        let members = bus.members().iter();
        let view = View {
            own: Some(bus.config().own),
            members: members.map(|m| (m.node, m.state, m.kind)).collect(),
        };
        let seen = Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner));
        if *seen != view {
            *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
        }
    }
}

/// Both clocks.
pub(super) fn now() -> Now {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Now {
        at: Instant::now(),
        unix_ms: unix.map_or(0, |unix| {
            u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)
        }),
    }
}

impl Mailbox {
    /// A way and its end.
    pub fn new() -> (Self, Seat) {
        let (sender, inputs) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicBool::new(false));
        let view = Arc::default();
        let mailbox = Self {
            inputs: sender,
            lost: Arc::clone(&lost),
            view: Arc::clone(&view),
        };
        (mailbox, Seat { inputs, lost, view })
    }

    /// Who is on the bus.
    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does something with the bus, later. `false` where too much waits for it. Never blocks.
    pub(super) fn post(&self, act: impl FnOnce(&mut Bus, Now) + Send + 'static) -> bool {
        self.inputs.try_send(Input::Do(Box::new(act))).is_ok()
    }

    /// Answers a member's message, if it still waits.
    pub(crate) fn answer(&self, ticket: u64, reply: Reply) {
        // Where too much waits, the bus answers 500 by itself.
        self.post(move |bus, _| {
            bus.answer(ticket, &reply);
        });
    }

    /// Takes a message if it is the bus's, or gives it back. One for which there is no room is dropped.
    pub(crate) fn take(&self, message: Arc<Message>, source: Source) -> Option<Arc<Message>> {
        if !envelope::is_bus(&message) {
            return Some(message);
        }
        let _ = self.inputs.try_send(Input::Message(message, source));
        None
    }

    /// Does something with the bus and waits for it. Blocks: not for a lane.
    pub fn with<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Bus, Now) -> R + Send + 'static,
    ) -> Result<R, Gone> {
        let (done, result) = sync_channel(1);
        let act = Input::Do(Box::new(move |bus, now| {
            // Nobody waits any more: nothing to tell.
            let _ = done.send(act(bus, now));
        }));
        self.inputs.send(act).map_err(|_| Gone)?;
        result.recv().map_err(|_| Gone)
    }

    pub(crate) fn stop(&self) {
        // One that has ended need not be told.
        let _ = self.inputs.send(Input::Stop);
    }

    pub(super) fn change(&self, change: Change) {
        if self.inputs.try_send(Input::Change(now(), change)).is_err() {
            self.lost.store(true, Ordering::Release);
        }
    }

    /// Tells the bus what is written into a hash table whose items live so long by default.
    pub fn watch_htable(&self, name: &str, expire: Duration) -> Arc<dyn Watch> {
        Arc::new(HtableWatch {
            mailbox: self.clone(),
            table: name.into(),
            expire,
        })
    }

    /// Tells the bus what happens to dialogs.
    pub fn watch_dialogs(&self) -> Arc<dyn WatchDialogs> {
        Arc::new(DialogWatch(self.clone()))
    }

    /// Tells the bus what happens to contacts.
    pub fn watch_contacts(&self, aors: Aors) -> Arc<dyn WatchContacts> {
        Arc::new(ContactWatch {
            mailbox: self.clone(),
            aors,
        })
    }
}

struct HtableWatch {
    mailbox: Mailbox,
    table: Arc<str>,
    expire: Duration,
}

impl Watch for HtableWatch {
    fn written(&self, _: &str, written: Written<'_>) {
        let own = |life: Duration| (life != self.expire).then_some(life);
        let action = match written {
            Written::Set {
                key,
                value: v,
                life,
            } => match value(v) {
                Some(value) => Action::Set {
                    key: key.into(),
                    value,
                    ttl: own(life),
                },
                // Bytes that are no text are not to be written on the bus.
                None => return,
            },
            Written::Add {
                key,
                delta,
                sum,
                life,
            } => Action::Add {
                key: key.into(),
                delta,
                sum,
                ttl: own(life),
            },
            Written::Expire { key, life } => Action::Expire {
                key: key.into(),
                ttl: life,
            },
            Written::Remove { key } => Action::Delete { key: key.into() },
            Written::RemovePrefix { prefix } => Action::DeletePrefix {
                of: switchhook_dmq::htable::Of::Name,
                prefix: prefix.into(),
            },
            Written::RemoveMatching { pattern: glob } => Action::DeletePattern {
                of: switchhook_dmq::htable::Of::Name,
                pattern: pattern(glob).into(),
            },
        };
        let table = Arc::clone(&self.table);
        self.mailbox.change(Change::Htable { table, action });
    }
}

struct ContactWatch {
    mailbox: Mailbox,
    aors: Aors,
}

impl WatchContacts for ContactWatch {
    fn moved(&self, aor: &str, moved: Moved<'_>) {
        let (action, binding) = match moved {
            Moved::Saved(binding) => (usrloc::Action::Save, binding),
            Moved::Removed(binding) => (usrloc::Action::Remove, binding),
        };
        let contact = Box::new(to_wire(now(), &self.aors, aor, binding));
        self.mailbox.change(Change::Contact(usrloc::Change {
            action,
            contact,
            behind: 0,
        }));
    }
}
