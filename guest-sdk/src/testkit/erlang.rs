//! The site's fake Erlang node: messages and commands that come to a script, and what it did with them.

use std::fmt;
use std::rc::Rc;

use switchhook_term::{Atom, Export, Pid, Reference, Term, atom, to_bytes, tuple};

use super::message::{parse, request};
use super::site::Site;
use super::world::{Arms, Event, LOCAL};
use crate::bindings::exports::switchhook::script::erlang_route as exports;
use crate::erlang::{self, Kind, RpcError};
use crate::host::auth::Verdict;
use crate::host::types::Outcome;
use crate::routes::Family;
use crate::rpc::Fault;

/// A function of another node.
pub(super) type Function = Rc<dyn Fn(&[Term]) -> Result<Term, RpcError>>;

/// What the fake node knows.
pub(crate) struct Fake {
    /// Connected nodes, the active one first.
    pub(super) nodes: Vec<String>,
    pub(super) reachable: Vec<String>,
    functions: Vec<(String, String, Function)>,
    /// The process that the event runs as.
    pub(super) process: String,
    pub(super) reply_to: Option<ReplyTo>,
    pub(super) replies: Vec<Term>,
    pub(super) sent: Vec<Sent>,
    pub(super) links: Vec<Pid>,
    pub(super) monitors: Vec<(Reference, To)>,
    references: u32,
}

impl Default for Fake {
    fn default() -> Fake {
        Fake {
            nodes: vec!["node1@example.test".to_owned()],
            reachable: Vec::new(),
            functions: Vec::new(),
            process: "self".to_owned(),
            reply_to: None,
            replies: Vec::new(),
            sent: Vec::new(),
            links: Vec::new(),
            monitors: Vec::new(),
            references: 0,
        }
    }
}

/// Who gets the answer.
pub(super) enum ReplyTo {
    Call,
    Sender(Pid),
}

/// Whom something went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A pid.
    Pid(Pid),
    /// A name, and its node.
    Registered(String, String),
}

/// What a script sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// To whom.
    pub to: To,
    /// The message, or the reason of an exit signal.
    pub message: Term,
    /// Whether it is an exit signal.
    pub is_exit: bool,
}

impl Sent {
    pub(super) fn exit(to: Pid, reason: Term) -> Sent {
        Sent {
            to: To::Pid(to),
            message: reason,
            is_exit: true,
        }
    }
}

impl Fake {
    pub(crate) const NAME: &'static str = "switchhook@example.test";

    pub(super) fn send(&mut self, to: To, message: Term) {
        self.sent.push(Sent {
            to,
            message,
            is_exit: false,
        });
    }

    pub(super) fn reference(&mut self) -> Reference {
        self.references += 1;
        Reference {
            node: Atom::from_static(Fake::NAME),
            creation: 1,
            ids: [self.references, 0, 0].into_iter().collect(),
        }
    }

    /// The function, or what a node without it says.
    pub(super) fn function(&self, module: &str, function: &str) -> Function {
        let mut functions = self.functions.iter().rev();
        if let Some((_, _, found)) = functions.find(|(m, f, _)| m == module && f == function) {
            return Rc::clone(found);
        }
        let name = |text: &str| Atom::new(text).unwrap_or(Atom::from_static("undefined"));
        let (module, function) = (name(module), name(function));
        Rc::new(move |args| {
            let call = Export {
                module: module.clone(),
                function: function.clone(),
                arity: u8::try_from(args.len()).unwrap_or(u8::MAX),
            };
            let undefined = tuple![call.module, call.function, args.to_vec(), Term::NIL];
            Err(RpcError::Raised(tuple![
                atom("EXIT"),
                tuple![atom("undef"), Term::List(vec![undefined])]
            ]))
        })
    }
}

/// A message that a [`Site`] received: what its script did with it.
pub struct Told {
    replies: Vec<Term>,
    outcome: Result<Outcome, String>,
}

impl Told {
    /// What was answered, in order; of a call without its tag.
    pub fn replies(&self) -> &[Term] {
        &self.replies
    }

    /// The error text that the route ended with.
    pub fn error(&self) -> Option<&str> {
        self.outcome.as_ref().err().map(String::as_str)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told")
            .field("replies", &self.replies)
            .field("outcome", &self.outcome)
            .finish()
    }
}

/// The Erlang side.
impl Site {
    /// With these nodes connected, the active one first. As it is made, `node1@example.test` is.
    #[must_use]
    pub fn nodes(self, names: &[&str]) -> Site {
        self.world.borrow_mut().erlang.nodes = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// With a node that [`erlang::connect`] reaches.
    #[must_use]
    pub fn reachable(self, name: &str) -> Site {
        let mut world = self.world.borrow_mut();
        world.erlang.reachable.push(name.to_owned());
        drop(world);
        self
    }

    /// With a function that other nodes have, for [`erlang::rpc`]. One given later takes the place of an earlier.
    #[must_use]
    pub fn function(
        self,
        module: &str,
        function: &str,
        body: impl Fn(&[Term]) -> Result<Term, RpcError> + 'static,
    ) -> Site {
        let entry = (
            module.to_owned(),
            function.to_owned(),
            Rc::new(body) as Function,
        );
        self.world.borrow_mut().erlang.functions.push(entry);
        self
    }

    /// `{Name, Node} ! Message` in an Erlang shell: runs `event_route[erlang:NAME]`.
    pub fn message(&self, name: &str, message: impl Into<Term>) -> Told {
        let shell = shell();
        self.tell(
            name,
            Kind::Info,
            message.into(),
            Some(ReplyTo::Sender(shell)),
        )
    }

    /// `gen_server:call({Name, Node}, Request)`.
    pub fn call(&self, name: &str, request: impl Into<Term>) -> Told {
        self.tell(name, Kind::Call, request.into(), Some(ReplyTo::Call))
    }

    /// `gen_server:cast({Name, Node}, Request)`.
    pub fn cast(&self, name: &str, request: impl Into<Term>) -> Told {
        self.tell(name, Kind::Cast, request.into(), None)
    }

    /// Something befalls a node, a link or a monitor. An error text where the route fails.
    pub fn befalls(&self, event: &erlang::Event) -> Result<(), String> {
        if !self.handles(Family::ErlangEvent, event.name()) {
            return Ok(());
        }
        let event = lowered(event);
        self.run_outside_of_calls(Family::ErlangEvent, "self", |site| {
            site.run(|script| (script.on_erlang_event)(event))
        })
    }

    /// A command is called with its arguments as JSON; gives JSON, or the fault. 404 where there is none of that name.
    pub fn command(&self, name: &str, params: &str) -> Result<String, Fault> {
        let registered = |(command, _): &(String, String)| command == name;
        if !self.world.borrow().commands.iter().any(registered) {
            return Err(Fault {
                code: 404,
                message: format!("there is no command {name}"),
            });
        }
        let (name, params) = (name.to_owned(), params.to_owned());
        self.run_outside_of_calls(Family::RpcRoute, "self", |site| {
            site.run(|script| (script.on_command)(name, params))
        })
    }

    /// What commands the script has, with their documentation.
    pub fn commands(&self) -> Vec<(String, String)> {
        self.world.borrow().commands.clone()
    }

    /// Everything that the script has sent to other nodes so far but answers, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.world.borrow().erlang.sent.clone()
    }

    /// The pids that the script is linked to.
    pub fn links(&self) -> Vec<Pid> {
        self.world.borrow().erlang.links.clone()
    }

    /// The script's monitors.
    pub fn monitors(&self) -> Vec<(Reference, To)> {
        self.world.borrow().erlang.monitors.clone()
    }

    fn tell(&self, name: &str, kind: Kind, content: Term, reply_to: Option<ReplyTo>) -> Told {
        if !self.handles(Family::ErlangRoute, name) {
            return Told {
                replies: Vec::new(),
                outcome: Err(format!("there is no process {name}")),
            };
        }
        let sender = (kind != Kind::Cast).then(|| to_bytes(&shell().into()));
        let message = exports::Message {
            kind,
            sender,
            node: shell().node.as_str().to_owned(),
            content: to_bytes(&content),
        };
        let node = &self.world;
        node.borrow_mut().erlang.reply_to = reply_to;
        let outcome = self.run_outside_of_calls(Family::ErlangRoute, name, |site| {
            site.run(|script| (script.on_message)(name.to_owned(), message))
        });
        let mut world = node.borrow_mut();
        world.erlang.reply_to = None;
        Told {
            replies: std::mem::take(&mut world.erlang.replies),
            outcome,
        }
    }

    /// Runs something in an event without a message of SIP, as that process.
    pub(super) fn run_outside_of_calls<R>(
        &self,
        family: Family,
        process: &str,
        run: impl FnOnce(&Site) -> R,
    ) -> R {
        let nothing = parse(&request("OPTIONS", "sip:nobody@invalid").text);
        let mut world = self.world.borrow_mut();
        world.erlang.process = process.to_owned();
        world.event = Some(Event {
            family,
            request: nothing,
            reply: None,
            source: LOCAL,
            destination: None,
            credentials: Verdict::Missing,
            decided: Vec::new(),
            targets: Vec::new(),
            next_hop: None,
            vars: Default::default(),
            arms: Arms::default(),
            route_params: None,
            status: None,
            canceled: false,
            timed_out: false,
            branch: None,
            dialog: None,
        });
        drop(world);
        let result = run(self);
        let mut world = self.world.borrow_mut();
        world.event = None;
        world.erlang.process = "self".to_owned();
        drop(world);
        result
    }
}

/// Who sends messages to a site.
fn shell() -> Pid {
    Pid {
        node: Atom::from_static("node1@example.test"),
        id: 88,
        serial: 0,
        creation: 1,
    }
}

fn lowered(event: &erlang::Event) -> exports::Event {
    match event.clone() {
        erlang::Event::NodeUp { node } => exports::Event::NodeUp(node),
        erlang::Event::NodeBusy { node } => exports::Event::NodeBusy(node),
        erlang::Event::NodeReady { node } => exports::Event::NodeReady(node),
        erlang::Event::NodeDown { node, reason } => {
            exports::Event::NodeDown(exports::Lost { node, reason })
        }
        erlang::Event::Exit {
            process,
            sender,
            reason,
        } => exports::Event::Exit(exports::Exited {
            process,
            sender: to_bytes(&sender.into()),
            reason: to_bytes(&reason),
        }),
        erlang::Event::Down {
            process,
            reference,
            subject,
            reason,
        } => exports::Event::Down(exports::Down {
            process,
            reference: to_bytes(&reference.into()),
            subject: to_bytes(&subject),
            reason: to_bytes(&reason),
        }),
    }
}
