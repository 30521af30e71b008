//! What one lane looks after now and then for all: old generations, items of hash tables, contacts and dialogs whose time is over.
//!
//! In bounded batches: what is left waits for the next time.

use std::sync::Arc;
use std::time::Instant;

use switchhook_script::{Event, Route, binding};

use crate::guest::Job;
use crate::lane::Lane;

impl Lane {
    pub(crate) fn housekeeping(&mut self, now: Instant) {
        if self.index != 0 {
            return;
        }
        for pool in std::iter::once(&self.pool).chain(&self.others) {
            pool.script().sweep(now);
        }
        let services = Arc::clone(&self.services);
        services.htables.sweep(now);
        self.expire_dialogs(now);
        let generation = Arc::clone(self.pool.current());
        for locations in services.locations.values() {
            for expired in locations.expire(now, self.limits.expired) {
                self.counters.expired.count();
                if generation.handles_expired() {
                    let contact = binding(&expired.aor, &expired.binding, now);
                    let route = Route::ContactExpired(Box::new(contact));
                    let event = Event::new(route, None, None);
                    self.call(now, &generation, event, Job::Expired);
                }
            }
        }
    }
}
