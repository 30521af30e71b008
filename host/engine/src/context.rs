//! What the engine keeps with each server transaction, and the calls that wait for it.
//!
//! One guest runs for a transaction at a time: while one does, what the transaction layer asks next is held here, bounded.

use std::collections::VecDeque;
use std::sync::Arc;

use switchhook_script::{Current, Event, Pinned, Target, Tracked};
use switchhook_sip::dialog::Id;
use switchhook_sip::flow::Source;
use switchhook_sip::message::Message;
use switchhook_sip::transaction::{Best, BranchId, ReplyId, Wait};
use switchhook_store::Vars;
use switchhook_store::dialogs::dialog::Side;

use crate::leg::Leg;

/// The engine's own data of a server transaction.
pub(crate) struct Context {
    /// The code that started the transaction; every later route of it runs there.
    pub(crate) pinned: Pinned,
    /// Where the request came from.
    pub(crate) source: Source,
    /// The request with the edits that all branches share; until the final response is out.
    pub(crate) request: Option<Current>,
    pub(crate) vars: Vars,
    pub(crate) next_hop: Option<String>,
    /// Added and not relayed yet.
    pub(crate) targets: Vec<Target>,
    pub(crate) force_rport: bool,
    /// Parameters of the Record-Route to add; none where the script does not stay in the dialog.
    pub(crate) record_route: Option<String>,
    pub(crate) routes: Routes,
    /// The dialog that the request begins, while it is tracked and not answered.
    pub(crate) dialog: Option<Id>,
    /// The dialog whose other side's Contact the answer to this INVITE or UPDATE tells, and that side.
    pub(crate) refreshes: Option<(Id, Side)>,
    pub(crate) wait: Wait,
    /// Branches made so far; the number of the next one.
    pub(crate) branches: u32,
    pub(crate) cancelled: bool,
    /// The script answered; the request went no further.
    pub(crate) answered_here: bool,
    /// The best status seen so far.
    pub(crate) status: Option<u16>,
    /// A guest runs for this transaction, or its relay waits for a name.
    pub(crate) busy: bool,
    pub(crate) held: VecDeque<Held>,
    /// Branches whose target has further addresses.
    pub(crate) spares: Vec<Spare>,
}

/// A branch as it was before it was written for its address, to be written for the next one.
pub(crate) struct Spare {
    pub(crate) id: BranchId,
    pub(crate) leg: Leg,
}

/// The routes that the script armed.
#[derive(Clone, Default)]
pub(crate) struct Routes {
    pub(crate) failure: Option<Arc<str>>,
    pub(crate) reply: Option<Arc<str>>,
    pub(crate) branch: Option<Arc<str>>,
}

/// What the transaction layer asks and must wait for the guest that runs.
pub(crate) enum Held {
    Reply {
        branch: usize,
        id: ReplyId,
        message: Arc<Message>,
        source: Source,
    },
    Failure(Best),
    NextAddress(BranchId),
}

impl Context {
    pub(crate) fn new(pinned: Pinned, source: Source, request: Current) -> Context {
        Context {
            pinned,
            source,
            request: Some(request),
            vars: Vars::default(),
            next_hop: None,
            targets: Vec::new(),
            force_rport: false,
            record_route: None,
            routes: Routes::default(),
            dialog: None,
            refreshes: None,
            wait: Wait::default(),
            branches: 0,
            cancelled: false,
            answered_here: false,
            status: None,
            busy: false,
            held: VecDeque::new(),
            spares: Vec::new(),
        }
    }

    /// Whether nothing asks for it any more once the final response is out: no guest that runs, no route that copies of a 2xx come to, no
    /// request on another way that must be told from one answered here.
    pub(crate) fn is_over(&self) -> bool {
        !self.busy && self.routes.reply.is_none() && !self.answered_here
    }

    /// The final response is out: lets go of all that only routes read, unless copies of a 2xx still come to one.
    pub(crate) fn answered(&mut self) {
        if self.routes.reply.is_some() {
            return;
        }
        self.request = None;
        self.vars = Vars::default();
        self.next_hop = None;
        self.targets = Vec::new();
        self.record_route = None;
        self.routes = Routes::default();
        self.spares = Vec::new();
    }

    /// Notes the status of a reply: the best one is what the script is told.
    pub(crate) fn saw(&mut self, status: u16) {
        if self.status.is_none_or(|best| best < 200 && status > best) {
            self.status = Some(status);
        }
    }

    /// Takes back what a guest's event carried.
    pub(crate) fn settle(&mut self, event: &mut Event) {
        self.vars = std::mem::take(&mut event.vars);
        self.next_hop = event.next_hop.take();
        self.targets = std::mem::take(&mut event.targets);
        self.force_rport |= event.force_rport;
    }

    /// Lends it to an event.
    pub(crate) fn lend(&mut self, event: &mut Event) {
        event.vars = std::mem::take(&mut self.vars);
        event.next_hop.clone_from(&self.next_hop);
        event.targets = std::mem::take(&mut self.targets);
        event.force_rport = self.force_rport;
        event.transaction.canceled = self.cancelled;
        event.transaction.status = self.status;
        event.dialog = self.dialog.map(Tracked::Begun);
    }
}
