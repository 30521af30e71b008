//! A branch whose address failed goes to its target's next one (RFC 3263 4.3): the same request, written anew for the way it takes
//! now, as a new client transaction. To the script it is the same branch; its branch route has run, its onsend route runs again.

use std::sync::Arc;
use std::time::Instant;

use switchhook_sip::transaction::{BranchId, Key};

use crate::context::Held;
use crate::lane::Lane;
use crate::relay::Relay;

impl Lane {
    /// The transaction layer says that a branch's address failed.
    pub(crate) fn next_address(&mut self, now: Instant, key: Key, failed: BranchId) {
        let Some(context) = self.tm.data_mut(key) else {
            let _ = self.tm.give_up(now, key, failed);
            return;
        };
        if context.busy {
            context.held.push_back(Held::NextAddress(failed));
            return;
        }
        let at = context.spares.iter().position(|spare| spare.id == failed);
        let Some(spare) = at.map(|at| context.spares.swap_remove(at)) else {
            let _ = self.tm.give_up(now, key, failed);
            return;
        };
        self.counters.next_addresses.count();
        let generation = Arc::clone(context.pinned.generation());
        let relay = Relay::again(key, generation, spare.leg, failed);
        self.relay(now, Box::new(relay));
    }

    /// The branch is written for its next address, or could not be.
    pub(crate) fn send_again(&mut self, now: Instant, key: Key, failed: BranchId, relay: Relay) {
        let branch = relay.written();
        let sent = match branch {
            Some(branch) => self.tm.retry(now, key, failed, branch),
            None => self.tm.give_up(now, key, failed),
        };
        if let Err(refusal) = sent {
            tracing::debug!(%refusal, "a further address came too late");
            // Where it is only that there are too many branches, the branch still has to end.
            let _ = self.tm.give_up(now, key, failed);
        }
    }
}
