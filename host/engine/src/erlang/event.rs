//! From what happened at the node to an event of scripts, and the lane that is to have it.

use switchhook_erlang::node::{Event as NodeEvent, Gen, Process};
use switchhook_erlang::{NodeName, Pid, TermBytes, Who};
use switchhook_script::erlang::{Message, MessageKind, ReplyTo, SELF, To};
use switchhook_script::{Event, Generation, Route, wit};
use switchhook_term::{Atom, Limits, Reference, Tape, Term, View, to_bytes};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::identity::{atom, to_pid};
use super::post::Post;
use crate::Engine;
use crate::lane::lane_of;

/// Letters that a full box must have room for before the next one goes in, so that lane and node do not take turns letter by letter.
const ROOM: usize = 64;

impl Engine {
    /// Takes an event of the Erlang node to a lane. Waits while that lane has enough to do. Calls of functions are not for scripts and
    /// are left out.
    pub async fn erlang(&self, event: NodeEvent) {
        let Some((key, route)) = route(event) else {
            return;
        };
        let lane = lane_of(&self.keys, key, self.lanes.len());
        if let Some(lane) = self.lanes.get(lane) {
            let mut takers = self.takers(&route);
            let Some(last) = takers.pop() else {
                let (route, name) = (route.interface(), route.name());
                return tracing::debug!(route, name, "no handler");
            };
            let send = async |script, route| {
                let event = Event::new(route, None, None);
                put(&lane.post, Post::Event(script, event)).await;
            };
            for script in takers {
                send(script, route.clone()).await;
            }
            send(last, route).await;
        }
    }

    /// The places of the scripts that are to have it: of a message the first that has the process, of an event all that have its
    /// route, and the process that it is for.
    fn takers(&self, route: &Route) -> Vec<usize> {
        let takes = |generation: &Generation| match route {
            Route::ErlangEvent(event) => {
                let process = match &**event {
                    wit::ErlangEvent::Exit(exited) => &exited.process,
                    wit::ErlangEvent::Down(down) => &down.process,
                    wit::ErlangEvent::NodeUp(_)
                    | wit::ErlangEvent::NodeDown(_)
                    | wit::ErlangEvent::NodeBusy(_)
                    | wit::ErlangEvent::NodeReady(_) => SELF,
                };
                generation.handles(route) && (process == SELF || has(generation, process))
            }
            route => generation.handles(route),
        };
        let one = matches!(route, Route::ErlangMessage { .. });
        let scripts = self.scripts().iter().enumerate();
        let takers = scripts.filter(|(_, script)| takes(&script.current()));
        let takers = takers.map(|(place, _)| place);
        takers.take(if one { 1 } else { usize::MAX }).collect()
    }
}

/// Puts a letter into a lane's box. A lane that is gone takes nothing more.
async fn put(lane: &Sender<Post>, post: Post) {
    let Err(TrySendError::Full(post)) = lane.try_send(post) else {
        return;
    };
    let room = lane.reserve_many(ROOM.min(lane.max_capacity())).await;
    if let Some(permit) = room.ok().and_then(|mut room| room.next()) {
        permit.send(post);
    }
}

/// Whether a script has a process; one that did not say which has any.
fn has(generation: &Generation, process: &str) -> bool {
    let processes = generation.processes();
    processes.is_none_or(|processes| processes.contains(&process))
}

/// The event, and what chooses its lane.
fn route(event: NodeEvent) -> Option<(Option<Pid>, Route)> {
    match event {
        NodeEvent::Message {
            to,
            from,
            message,
            gen_server,
        } => {
            let route = self::message(&to, from.as_ref(), message, gen_server);
            Some((from, route))
        }
        NodeEvent::Exit { to, from, reason } => {
            let exited = wit::Exited {
                process: name(&to).to_owned(),
                sender: from.to_term().into(),
                reason: reason.into(),
            };
            Some((Some(from), befell(wit::ErlangEvent::Exit(exited))))
        }
        NodeEvent::ProcessDown {
            to,
            reference,
            who,
            node,
            reason,
        } => {
            let key = match &who {
                Who::Pid(pid) => Some(pid.clone()),
                Who::Name(_) => None,
            };
            let down = wit::Down {
                process: name(&to).to_owned(),
                reference: reference.to_term().into(),
                subject: subject(who, &node),
                reason: reason.into(),
            };
            Some((key, befell(wit::ErlangEvent::Down(down))))
        }
        NodeEvent::Up { node, .. } => {
            Some((None, befell(wit::ErlangEvent::NodeUp(node.to_string()))))
        }
        NodeEvent::Down { node, reason } => {
            let lost = wit::Lost {
                node: node.to_string(),
                reason: reason.to_string(),
            };
            Some((None, befell(wit::ErlangEvent::NodeDown(lost))))
        }
        NodeEvent::Active { node } => {
            tracing::info!(
                node = node.as_ref().map(NodeName::as_str),
                "active Erlang node"
            );
            None
        }
        NodeEvent::Busy { node } => {
            tracing::warn!(%node, "an Erlang node reads too slowly: messages to it are refused");
            Some((None, befell(wit::ErlangEvent::NodeBusy(node.to_string()))))
        }
        NodeEvent::Ready { node } => {
            tracing::info!(%node, "an Erlang node has caught up");
            Some((None, befell(wit::ErlangEvent::NodeReady(node.to_string()))))
        }
        NodeEvent::Call { .. } | NodeEvent::Answered { .. } | NodeEvent::Failed { .. } => None,
    }
}

fn befell(event: wit::ErlangEvent) -> Route {
    Route::ErlangEvent(Box::new(event))
}

fn message(to: &Process, from: Option<&Pid>, message: TermBytes, gen_server: Option<Gen>) -> Route {
    let sender = from.map(to_pid);
    let (kind, content, reply_to) = match gen_server {
        None => (
            MessageKind::Info,
            message,
            sender.clone().map(ReplyTo::Sender),
        ),
        Some(Gen::Cast { request }) => (MessageKind::Cast, request, None),
        Some(Gen::Call { from, tag, request }) => {
            let tag: Vec<u8> = tag.get(1..).unwrap_or_default().into();
            let to = alias(&tag).map_or_else(|| To::Pid(to_pid(&from)), To::Alias);
            (MessageKind::Call, request, Some(ReplyTo::Call { to, tag }))
        }
    };
    let node = sender.as_ref().map_or("", |sender| sender.node.as_str());
    Route::ErlangMessage {
        name: name(to).into(),
        message: Box::new(Message {
            kind,
            node: node.to_owned(),
            sender,
            content: content.into(),
            reply_to,
        }),
    }
}

/// The reference of a tag `[alias|Reference]`.
fn alias(tag: &[u8]) -> Option<Reference> {
    let mut tape = Tape::new();
    let (tag, _) = tape.decode_bare(tag, 0, &Limits::default()).ok()?;
    let (mut items, tail) = tag.list()?;
    let is_alias = |item: View<'_>| item.is_atom("alias");
    let found = items.next().is_some_and(is_alias) && items.next().is_none();
    found.then(|| tail.reference()).flatten()
}

fn name(process: &Process) -> &str {
    match process {
        Process::Own => SELF,
        Process::Named(name) => name,
    }
}

/// A pid, or `{Name, Node}`.
fn subject(who: Who, node: &NodeName) -> Vec<u8> {
    match who {
        Who::Pid(pid) => pid.to_term().into(),
        Who::Name(name) => {
            let name = Atom::new(&name);
            let name = name.unwrap_or_else(|_| Atom::from_static(""));
            to_bytes(&Term::Tuple(vec![Term::Atom(name), Term::Atom(atom(node))]))
        }
    }
}
