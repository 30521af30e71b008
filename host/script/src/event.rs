//! What a guest is asked, and what it decided: plain data that the engine hands in and takes back.
//!
//! An [`Event`] goes into the guest's store for one call of one route and comes out of it again. The guest's reads and
//! edits touch nothing but the event; what it decides is written down in [`Event::decisions`] and carried out by the engine
//! after the route returned. So a trap in the middle of a route has done nothing to the call. The store calls (htable,
//! registrar, auth) act at once and are the business of [`crate::Effects`].

use std::borrow::Cow;
use std::sync::Arc;

use switchhook_bindings::switchhook::script::dialog::Info;
use switchhook_bindings::switchhook::script::registrar::Binding;
use switchhook_sip::dialog::Id;
use switchhook_sip::flow::{Destination, FlowId, Source};
use switchhook_sip::message::{Edits, Message as SipMessage, View};
use switchhook_store::Vars;
use switchhook_store::dialogs::dialog::{self, Side};

use crate::command::Invocation;
use crate::dmq::{self, DmqEvent};
use crate::erlang::{ErlangEvent, Message};
use crate::uac::Answered;

/// Which handler of the script an event is for.
#[derive(Debug, Clone)]
pub enum Route {
    /// `request-route.on-request`.
    Request,
    /// `reply-route.on-reply`: each reply, before its transaction sees it.
    Reply,
    /// `onsend-route.on-send`: a request that is about to be sent.
    Onsend,
    /// `branch-route.on-branch(name)`: a branch before it is sent.
    Branch {
        /// The route that `tm.on-branch` named.
        name: Arc<str>,
        /// The branch, from 0.
        index: u32,
    },
    /// `onreply-route.on-reply(name)`: a reply of a branch.
    OnReply {
        /// The route that `tm.on-reply` named.
        name: Arc<str>,
        /// The branch, from 0.
        index: u32,
    },
    /// `failure-route.on-failure(name)`: no branch succeeded.
    Failure {
        /// The route that `tm.on-failure` named.
        name: Arc<str>,
    },
    /// `registrar-route.on-expired`: a contact's time is over.
    ContactExpired(Box<Binding>),
    /// `erlang-route.on-message(name)`: a message to the process of that name.
    ErlangMessage {
        /// The process.
        name: Arc<str>,
        /// The message.
        message: Box<Message>,
    },
    /// `erlang-route.on-event`: what befell a node, a link or a monitor.
    ErlangEvent(Box<ErlangEvent>),
    /// `dialog-route.on-event`: what befell a call that is tracked.
    Dialog {
        /// What befell it.
        event: dialog::Event,
        /// The dialog as it was then.
        info: Box<Info>,
    },
    /// `rpc-route.on-command`: a command of the script; its answer is left in it.
    Command(Box<Invocation>),
    /// `dmq-route.on-message`: a message of a member of the bus; its answer is left in it.
    DmqMessage(Box<dmq::Message>),
    /// `dmq-route.on-event`: what became of a member or a message.
    DmqEvent(Box<DmqEvent>),
    /// `uac-route.on-reply(name)`: what a request of the script's own came to.
    Uac {
        /// The route that `uac.send` named.
        name: Arc<str>,
        /// The reply, and which request it answers.
        answered: Box<Answered>,
    },
}

impl Route {
    /// The interface in wit/ that handles it.
    pub const fn interface(&self) -> &'static str {
        match self {
            Self::Request => "request-route",
            Self::Reply => "reply-route",
            Self::Onsend => "onsend-route",
            Self::Branch { .. } => "branch-route",
            Self::OnReply { .. } => "onreply-route",
            Self::Failure { .. } => "failure-route",
            Self::ContactExpired(_) => "registrar-route",
            Self::ErlangMessage { .. } | Self::ErlangEvent(_) => "erlang-route",
            Self::Dialog { .. } => "dialog-route",
            Self::Command(_) => "rpc-route",
            Self::DmqMessage(_) | Self::DmqEvent(_) => "dmq-route",
            Self::Uac { .. } => "uac-route",
        }
    }

    /// The route's name; empty for the families without names.
    pub fn name(&self) -> &str {
        match self {
            Self::Branch { name, .. }
            | Self::OnReply { name, .. }
            | Self::Failure { name }
            | Self::ErlangMessage { name, .. }
            | Self::Uac { name, .. } => name,
            Self::ErlangEvent(event) => match **event {
                ErlangEvent::NodeUp(_) => "node-up",
                ErlangEvent::NodeDown(_) => "node-down",
                ErlangEvent::NodeBusy(_) => "node-busy",
                ErlangEvent::NodeReady(_) => "node-ready",
                ErlangEvent::Exit(_) => "exit",
                ErlangEvent::Down(_) => "down",
            },
            Self::Dialog { event, .. } => event.name(),
            Self::Command(invocation) => &invocation.name,
            Self::DmqMessage(message) => &message.channel,
            Self::DmqEvent(event) => match **event {
                DmqEvent::PeerUp(_) => "peer-up",
                DmqEvent::PeerDisabled(_) => "peer-disabled",
                DmqEvent::PeerDown(_) => "peer-down",
                DmqEvent::Answered(_) => "answered",
            },
            _ => "",
        }
    }
}

/// A message, what is to change in it, and where it came from.
#[derive(Debug, Clone)]
pub struct Current {
    /// As it came.
    pub message: Arc<SipMessage>,
    /// Edits made so far; the guest's come back in here.
    pub edits: Edits,
    /// Where it came from. Of an answer made here: our side of the way it would have come.
    pub source: Source,
}

impl Current {
    /// A message without edits.
    pub fn new(message: Arc<SipMessage>, source: Source) -> Self {
        Self {
            message,
            edits: Edits::default(),
            source,
        }
    }

    /// The message as it would be sent now.
    pub fn view(&self) -> View<'_> {
        self.edits.view(&self.message)
    }
}

/// One place that a request is sent to; `tm.target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The request URI of that branch.
    pub uri: String,
    /// Where to send, where that is not the request URI.
    pub next_hop: Option<String>,
    /// Route set of that branch, first hop first.
    pub path: Vec<String>,
    /// Preference in thousandths.
    pub q: u16,
    /// The connection to use; where it is gone the branch fails with 430.
    pub flow: Option<FlowId>,
}

/// How targets are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// All at once.
    Parallel,
    /// By falling q, those of equal q at once.
    Serial,
}

/// A header field of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField {
    /// A token.
    pub name: Cow<'static, str>,
    /// Without line breaks.
    pub value: String,
}

/// A body with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// For Content-Type.
    pub content_type: String,
    /// The bytes.
    pub content: Vec<u8>,
}

/// An answer made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 101 to 699.
    pub status: u16,
    /// Empty: the standard phrase.
    pub reason: Cow<'static, str>,
    /// Checked: each can stand in a message.
    pub headers: Vec<HeaderField>,
    /// A body where one was given.
    pub body: Option<Body>,
}

/// What a guest decided. Carried out in order when its route has returned, with the event's edits, next hop and
/// `force_rport` as they are then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send the request on, statefully. Without targets: to [`Event::next_hop`], else the first Route, else the request URI.
    Relay {
        /// The targets added or given.
        targets: Vec<Target>,
        /// How they are tried.
        order: Order,
    },
    /// Send the request on without a transaction, to the next hop, the first Route or the request URI.
    Forward,
    /// Send copies of the request to these next hops, and keep the answers.
    Replicate(Vec<String>),
    /// Answer the request.
    Respond(Answer),
    /// Add Record-Route with these URI parameters (without the leading `;`; may be empty) when the request is sent.
    RecordRoute(String),
    /// Arm the failure route of that name; none disarms.
    OnFailure(Option<Arc<str>>),
    /// Arm the onreply route of that name; none disarms.
    OnReply(Option<Arc<str>>),
    /// Arm the branch route of that name; none disarms.
    OnBranch(Option<Arc<str>>),
    /// Wait so many milliseconds for any reply and for a final one; 0 leaves the config's value.
    Timeouts {
        /// For any reply.
        any_reply: u32,
        /// For a final one, of an INVITE.
        final_reply: u32,
    },
    /// Cancel the branches without a final reply.
    Cancel,
}

/// What the guest may know of the transaction it runs for; taken before the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransactionView {
    /// The best status so far.
    pub status: Option<u16>,
    /// The caller has cancelled.
    pub canceled: bool,
    /// In a failure route: the winning branch ended by a timer.
    pub timed_out: bool,
}

/// The current dialog of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracked {
    /// The event's INVITE begins it.
    Begun(Id),
    /// The event's request is of it, sent by that side.
    Within(Id, Side),
    /// The event is about it; there is no message.
    About(Id),
}

impl Tracked {
    /// Its name.
    pub const fn id(self) -> Id {
        match self {
            Self::Begun(id) | Self::Within(id, _) | Self::About(id) => id,
        }
    }
}

/// One call of one route of a script.
#[derive(Debug, Clone)]
pub struct Event {
    /// The handler it is for.
    pub route: Route,
    /// The current request: in reply routes the one that the reply answers. None where there is none, as in a reply
    /// route for a reply without transaction. Edits of it are honoured in request, branch and failure routes.
    pub request: Option<Current>,
    /// The current reply, in reply, onreply and failure routes. Edits of it are honoured in the first two.
    pub reply: Option<Current>,
    /// In an onsend route: where the request is about to go.
    pub destination: Option<Destination>,
    /// `$du`: where to send, if that is not the request URI.
    pub next_hop: Option<String>,
    /// Targets added for the next relay and not relayed yet.
    pub targets: Vec<Target>,
    /// Answer to the port that the request came from.
    pub force_rport: bool,
    /// The transaction's variables: moved in, moved out.
    pub vars: Vars,
    /// The dialog that is current, where it is tracked. A request route may find it or begin it.
    pub dialog: Option<Tracked>,
    /// The transaction's state.
    pub transaction: TransactionView,
    /// How many events led to this one: 0 for what the network brought. More than the script's limit is refused.
    pub depth: u32,
    /// What the guest decided, in order. The engine empties it.
    pub decisions: Vec<Decision>,
}

impl Event {
    /// Any event; what is not given is empty. It is large and passes through many hands, so it stays in one place.
    pub fn new(route: Route, request: Option<Current>, reply: Option<Current>) -> Box<Self> {
        Box::new(Self {
            route,
            request,
            reply,
            destination: None,
            next_hop: None,
            targets: Vec::new(),
            force_rport: false,
            vars: Vars::default(),
            dialog: None,
            transaction: TransactionView::default(),
            depth: 0,
            decisions: Vec::new(),
        })
    }

    /// The message that the event is about: the reply in reply routes, else the request.
    pub fn current(&self) -> Option<&Current> {
        match self.route {
            Route::Reply | Route::OnReply { .. } => self.reply.as_ref(),
            _ => self.request.as_ref(),
        }
    }
}

/// What the route returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Carry out the decisions. A request without any is answered with the script's error reply.
    Done,
    /// No answer, no relay: the message goes no further.
    Drop,
}
