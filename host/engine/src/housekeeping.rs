//! What one lane looks after now and then for all: old generations, items of hash tables, contacts and dialogs whose time is over.
//!
//! In bounded batches, so that calls never wait for long: where a batch was full, the next one follows after [`PAUSE`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use switchhook_script::{Event, Route, binding};

use crate::guest::Job;
use crate::lane::Lane;

/// Between two batches of what ends at the same time: 25,600 contacts a second.
const PAUSE: Duration = Duration::from_millis(10);

impl Lane {
    /// Does what is due, and says when it is due again.
    pub(crate) fn housekeeping(&mut self, now: Instant) {
        self.tidy = now + self.limits.housekeeping;
        if self.index != 0 {
            return;
        }
        for pool in std::iter::once(&self.pool).chain(&self.others) {
            pool.script().sweep(now);
        }
        let services = Arc::clone(&self.services);
        services.htables.sweep(now);
        let max = self.limits.expired;
        let mut full = self.expire_dialogs(now) >= max;
        let generation = Arc::clone(self.pool.current());
        for locations in services.locations.values() {
            let batch = locations.expire(now, max);
            full |= batch.len() >= max;
            for expired in batch {
                self.counters.expired.count();
                if generation.handles_expired() {
                    let contact = binding(&expired.aor, &expired.binding, now);
                    let route = Route::ContactExpired(Box::new(contact));
                    let event = Event::new(route, None, None);
                    self.call(now, &generation, event, Job::Expired);
                }
            }
        }
        if full {
            self.tidy = now + PAUSE;
        }
    }
}
