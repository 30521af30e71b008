//! Time and transport errors: RFC 3261 s.8.1.3.1, s.16.8, s.16.9, s.17.

use std::time::Instant;

use bytes::Bytes;

use super::{Due, Manager};
use crate::message::Method;
use crate::transaction::cell::Context;
use crate::transaction::client;
use crate::transaction::io::{Key, Origin, Output};
use crate::transaction::leg::{Cancel, Progress};
use crate::transaction::names::BranchId;
use crate::transaction::server;
use crate::transaction::slots::SlotId;
use crate::transaction::timers::Time;

impl<X> Manager<X> {
    /// Does what is due at `now`. To be called at [`deadline`](Manager::deadline), and harmless at any other time.
    pub fn on_timer(&mut self, now: Instant) {
        let now = self.time(now);
        while let Some(due) = self.wheel.pop(now) {
            match due {
                Due::Cell(id) => self.cell_timer(now, id),
                Due::Leg(id) => self.leg_timer(now, id),
            }
        }
    }

    /// Whose bytes a request was that went out with that branch in its top Via. For failures that are told later, with the bytes alone (an
    /// ICMP error, a connection that broke). `None` for what was not sent from here or is over.
    pub fn origin(&self, via_branch: &[u8], method: Method<'_>) -> Option<Origin> {
        let name = BranchId::read(via_branch, &self.keys)?;
        let leg = self.legs.get(self.table.branch(name.serial())?)?;
        let key = Key(leg.cell);
        Some(match method {
            Method::Cancel => Origin::Cancel(key, leg.place),
            _ => Origin::Branch(key, leg.place),
        })
    }

    /// What that [`Output::Send`] gave could not be sent. A branch counts as answered with 503 (s.16.9); a transaction that cannot be answered is
    /// over, and its branches are cancelled.
    pub fn on_transport_error(&mut self, now: Instant, origin: Origin) {
        self.not_sent(now, origin, 503);
    }

    /// The same where the connection that it was to go on is gone: a branch that was to go on that flow and no other counts as answered
    /// with 430 (RFC 5626 s.5.3).
    pub fn on_flow_failed(&mut self, now: Instant, origin: Origin) {
        self.not_sent(now, origin, 430);
    }

    fn not_sent(&mut self, now: Instant, origin: Origin, status: u16) {
        let now = self.time(now);
        match origin {
            Origin::Nobody => {}
            Origin::Server(Key(id)) => {
                let Some(cell) = self.cells.get_mut(id) else {
                    return;
                };
                if cell.server.transport_error() == server::Act::Failed {
                    self.lose_server(now, id);
                }
            }
            Origin::Branch(key, branch) => {
                let Some(leg) = self.leg_of(key, branch) else {
                    return;
                };
                let Some(found) = self.legs.get_mut(leg) else {
                    return;
                };
                let silent = found.client.is_silent();
                let status = match found.destination.flow {
                    Some(_) => status,
                    None => 503,
                };
                if found.client.transport_error() == client::Act::Failed {
                    let elsewhere =
                        silent && status == 503 && self.move_on(now, leg, status, Bytes::new());
                    if !elsewhere {
                        self.fail_made(now, leg, status);
                    }
                }
                self.touch_leg(leg);
            }
            Origin::Cancel(key, branch) => {
                let Some(id) = self.leg_of(key, branch) else {
                    return;
                };
                if let Some(leg) = self.legs.get_mut(id) {
                    leg.cancel_failed();
                }
                self.touch_leg(id);
            }
        }
    }

    /// Nobody upstream can be answered any more.
    pub(super) fn lose_server(&mut self, now: Time, id: SlotId) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        // What is over stays so; what is not has just been told.
        let _ = cell.server.transport_error();
        cell.cancelled = true;
        if cell.context != Context::Done {
            cell.done();
        }
        self.cancel_legs(now, id);
        self.touch(id);
    }

    fn leg_of(&self, key: Key, branch: usize) -> Option<SlotId> {
        self.cells.get(key.0)?.branches.get(branch).copied()
    }

    fn cell_timer(&mut self, now: Time, id: SlotId) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        cell.timer = None;
        match cell.server.timer(now, &self.config.timers) {
            server::Act::Resend => self.outputs.push_back(Output::Send {
                bytes: cell.last.clone(),
                destination: cell.way,
                origin: Origin::Server(Key(id)),
            }),
            server::Act::Trying => self.give_made(now, id, 100),
            _ => {}
        }
        self.repeat(now, id);
        let patience = self.cells.get(id).and_then(|cell| cell.patience);
        if patience.is_some_and(|until| until <= now) {
            self.lose_patience(now, id);
        }
        self.touch(id);
    }

    /// The caller's own 2xx once more, if it is due.
    fn repeat(&mut self, now: Time, id: SlotId) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        if !cell.server.is_accepted() {
            cell.own_success = None;
        } else if let Some(repeat) = cell.own_success.filter(|repeat| repeat.at <= now) {
            cell.own_success = Some(repeat.doubled_to(now, self.config.timers.t2));
            self.outputs.push_back(Output::Send {
                bytes: cell.last.clone(),
                destination: cell.way,
                origin: Origin::Server(Key(id)),
            });
        }
    }

    fn leg_timer(&mut self, now: Time, id: SlotId) {
        let Some(leg) = self.legs.get_mut(id) else {
            return;
        };
        leg.timer = None;
        let timers = &self.config.timers;
        let key = Key(leg.cell);
        if let Some(bytes) = leg.cancel_timer(now, timers) {
            self.outputs.push_back(Output::Send {
                bytes,
                destination: leg.destination,
                origin: Origin::Cancel(key, leg.place),
            });
        }
        let silent = leg.client.is_silent();
        let act = leg.client.timer(now, timers);
        if act == client::Act::Send {
            self.outputs.push_back(Output::Send {
                bytes: leg.bytes.clone(),
                destination: leg.destination,
                origin: Origin::Branch(key, leg.place),
            });
        }
        let open = leg.progress == Progress::Open;
        let given_up = open && leg.give_up.is_some_and(|at| at <= now);
        let cancelled = match &leg.cancel {
            Cancel::Sent(sent) => leg.client.is_pending() && sent.until <= now,
            Cancel::No | Cancel::Wanted => false,
        };
        let given_up = given_up && act != client::Act::TimedOut && !cancelled;
        if (act == client::Act::TimedOut || given_up)
            && silent
            && self.move_on(now, id, 408, Bytes::new())
        {
            // What comes late is only of use if it is a 2xx.
            if let Some(leg) = self.legs.get_mut(id) {
                leg.client.hush();
            }
            self.cancel_leg(now, id);
        } else if act == client::Act::TimedOut {
            self.fail_made(now, id, 408);
        } else if cancelled {
            if let Some(leg) = self.legs.get_mut(id) {
                leg.client.abandon();
            }
            self.fail_made(now, id, 487);
        } else if given_up {
            self.cancel_leg(now, id);
            self.fail_made(now, id, 408);
        }
        self.touch_leg(id);
    }
}
