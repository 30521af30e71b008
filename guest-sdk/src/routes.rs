//! Between the component's exports and a script's routes: what `#[switchhook_sdk::script]` implements and what calls it.

use std::marker::PhantomData;

use crate::bindings::exports::switchhook::script as exports;
use crate::dialog::Info;
use crate::dmq;
use crate::erlang::{Event, Message};
use crate::error::{End, Error, Outcome, Result};
use crate::host::types;
use crate::registrar::Binding;
use crate::reply::Reply;
use crate::request::Request;
use crate::uac;

pub use exports::lifecycle::Family;

macro_rules! names {
    ($($type:ident $doc:literal)*) => {$(
        #[doc = $doc]
        ///
        /// The `#[script]` macro makes a constant of this type for each such route, named as the function in capitals.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $type(&'static str);

        impl $type {
            /// No route: disarms.
            pub const NONE: $type = $type("");

            #[doc(hidden)]
            pub const fn named(name: &'static str) -> $type {
                $type(name)
            }

            /// The route's name, as `kamailio.cfg` would write it in brackets.
            pub const fn name(self) -> &'static str {
                self.0
            }
        }
    )*};
}

names! {
    FailureRoute "The name of a failure route, for [`Request::on_failure`]."
    BranchRoute "The name of a branch route, for [`Request::on_branch`]."
    OnReplyRoute "The name of an onreply route, for [`Request::on_reply`]."
}

/// A script: what the host, or the test kit in its place, calls. `#[switchhook_sdk::script]` implements it for a type `Script` in the
/// module it stands on.
pub trait Script: 'static {
    /// The routes that there are, with the names of those that have one.
    const HANDLERS: &'static [(Family, &'static str)];

    /// Reads the config, as JSON, and makes the script's state of it.
    fn init(config: &str) -> Result<()>;

    /// `request_route`
    fn on_request(_req: &mut Request) -> Outcome {
        Ok(End::Next)
    }

    /// `reply_route`
    fn on_reply(_reply: &mut Reply) -> Outcome {
        Ok(End::Next)
    }

    /// `onsend_route`
    fn on_send(_req: &mut Request) -> Outcome {
        Ok(End::Next)
    }

    /// `branch_route[NAME]`
    fn on_branch(name: &str, _req: &mut Request) -> Outcome {
        Err(unknown("branch", name))
    }

    /// `onreply_route[NAME]`
    fn on_branch_reply(name: &str, _reply: &mut Reply, _req: &mut Request) -> Outcome {
        Err(unknown("onreply", name))
    }

    /// `failure_route[NAME]`
    fn on_failure(name: &str, _req: &mut Request, _reply: &mut Reply) -> Outcome {
        Err(unknown("failure", name))
    }

    /// `event_route[usrloc:contact-expired]`
    fn on_expired(_contact: &Binding) -> Outcome {
        Ok(End::Next)
    }

    /// The commands that there are, with their documentation.
    const COMMANDS: &'static [(&'static str, &'static str)] = &[];

    /// `event_route[erlang:NAME]`
    fn on_message(name: &str, _msg: &mut Message) -> Outcome {
        Err(unknown("erlang", name))
    }

    /// `event_route[erlang-event:EVENT]`
    fn on_erlang_event(_event: &Event) -> Outcome {
        Ok(End::Next)
    }

    /// `event_route[dmq:CHANNEL]`
    fn on_bus_message(channel: &str, _msg: &mut dmq::Message) -> Outcome {
        Err(unknown("dmq", channel))
    }

    /// `event_route[dmq-event:EVENT]`
    fn on_bus_event(_event: &dmq::Event) -> Outcome {
        Ok(End::Next)
    }

    /// `event_route[dialog:EVENT]`
    fn on_dialog(name: &str, _info: &Info) -> Outcome {
        Err(unknown("dialog", name))
    }

    /// `event_route[uac:NAME]`
    fn on_own_reply(name: &str, _reply: &uac::Reply) -> Outcome {
        Err(unknown("uac", name))
    }

    /// A command, with its arguments as JSON; gives JSON.
    fn on_command(name: &str, _params: String) -> Result<String> {
        Err(unknown("rpc", name))
    }

    /// State for the next generation.
    fn export_state() -> Option<Vec<u8>> {
        None
    }

    /// State of the generation before.
    fn import_state(_state: Vec<u8>) -> Result<()> {
        Ok(())
    }
}

/// A script as the component's exports.
pub struct Exports<S>(PhantomData<S>);

impl<S: Script> exports::lifecycle::Guest for Exports<S> {
    fn init(config: String) -> Result<Vec<exports::lifecycle::Handler>, String> {
        #[cfg(target_arch = "wasm32")]
        std::panic::set_hook(Box::new(tell));
        S::init(&config).map_err(Error::into_message)?;
        if const { !S::COMMANDS.is_empty() } {
            crate::rpc::register(S::COMMANDS).map_err(Error::into_message)?;
        }
        Ok(S::HANDLERS
            .iter()
            .map(|(family, name)| exports::lifecycle::Handler {
                family: *family,
                name: (*name).to_owned(),
            })
            .collect())
    }

    fn export_state() -> Option<Vec<u8>> {
        S::export_state()
    }

    fn import_state(state: Vec<u8>) -> Result<(), String> {
        S::import_state(state).map_err(Error::into_message)
    }
}

impl<S: Script> exports::request_route::Guest for Exports<S> {
    fn on_request() -> Result<types::Outcome, String> {
        on_request(S::on_request)
    }
}

impl<S: Script> exports::reply_route::Guest for Exports<S> {
    fn on_reply() -> Result<types::Outcome, String> {
        if const { handles(S::HANDLERS, Family::ReplyRoute) } {
            let mut reply = Reply::current();
            let end = S::on_reply(&mut reply);
            settle(end, [reply.message.flush(), Ok(())])
        } else {
            Ok(types::Outcome::Done)
        }
    }
}

impl<S: Script> exports::onsend_route::Guest for Exports<S> {
    fn on_send() -> Result<types::Outcome, String> {
        on_request(S::on_send)
    }
}

impl<S: Script> exports::branch_route::Guest for Exports<S> {
    fn on_branch(name: String) -> Result<types::Outcome, String> {
        on_request(|req| S::on_branch(&name, req))
    }
}

impl<S: Script> exports::onreply_route::Guest for Exports<S> {
    fn on_reply(name: String) -> Result<types::Outcome, String> {
        if const { handles(S::HANDLERS, Family::OnreplyRoute) } {
            on_both(|req, reply| S::on_branch_reply(&name, reply, req))
        } else {
            Err(unknown("onreply", &name).into_message())
        }
    }
}

impl<S: Script> exports::failure_route::Guest for Exports<S> {
    fn on_failure(name: String) -> Result<types::Outcome, String> {
        if const { handles(S::HANDLERS, Family::FailureRoute) } {
            on_both(|req, reply| S::on_failure(&name, req, reply))
        } else {
            Err(unknown("failure", &name).into_message())
        }
    }
}

impl<S: Script> exports::registrar_route::Guest for Exports<S> {
    fn on_expired(contact: Binding) -> Result<(), String> {
        S::on_expired(&contact)
            .map(|_| ())
            .map_err(Error::into_message)
    }
}

impl<S: Script> exports::erlang_route::Guest for Exports<S> {
    fn on_message(
        name: String,
        message: exports::erlang_route::Message,
    ) -> Result<types::Outcome, String> {
        if const { handles(S::HANDLERS, Family::ErlangRoute) } {
            let mut message = Message::of(&message).map_err(Error::into_message)?;
            let end = S::on_message(&name, &mut message);
            settle(end, [Ok(()), Ok(())])
        } else {
            Err(unknown("erlang", &name).into_message())
        }
    }

    fn on_event(event: exports::erlang_route::Event) -> Result<(), String> {
        if const { handles(S::HANDLERS, Family::ErlangEvent) } {
            let event = Event::of(event).map_err(Error::into_message)?;
            S::on_erlang_event(&event).map_err(Error::into_message)?;
        }
        Ok(())
    }
}

impl<S: Script> exports::dmq_route::Guest for Exports<S> {
    fn on_message(
        message: exports::dmq_route::Message,
    ) -> Result<exports::dmq_route::Answer, String> {
        if const { handles(S::HANDLERS, Family::DmqRoute) } {
            let mut message = dmq::Message::of(message);
            let channel = message.channel().to_owned();
            S::on_bus_message(&channel, &mut message).map_err(Error::into_message)?;
            Ok(message.into_answer())
        } else {
            Err(unknown("dmq", &message.channel).into_message())
        }
    }

    fn on_event(event: exports::dmq_route::Event) -> Result<(), String> {
        if const { handles(S::HANDLERS, Family::DmqEvent) } {
            S::on_bus_event(&dmq::Event::of(event)).map_err(Error::into_message)?;
        }
        Ok(())
    }
}

impl<S: Script> exports::dialog_route::Guest for Exports<S> {
    fn on_event(event: exports::dialog_route::Event, info: Info) -> Result<(), String> {
        use exports::dialog_route::Event as Befell;
        let name = match event {
            Befell::Start => "start",
            Befell::End => "end",
            Befell::Failed => "failed",
            Befell::Timeout => "timeout",
        };
        if const { handles(S::HANDLERS, Family::DialogRoute) } {
            S::on_dialog(name, &info).map_err(Error::into_message)?;
        }
        Ok(())
    }
}

impl<S: Script> exports::uac_route::Guest for Exports<S> {
    fn on_reply(name: String, answered: exports::uac_route::Answered) -> Result<(), String> {
        if const { handles(S::HANDLERS, Family::UacRoute) } {
            S::on_own_reply(&name, &uac::Reply::of(answered)).map_err(Error::into_message)?;
        }
        Ok(())
    }
}

impl<S: Script> exports::rpc_route::Guest for Exports<S> {
    fn on_command(name: String, params: String) -> Result<String, exports::rpc_route::Fault> {
        S::on_command(&name, params).map_err(crate::rpc::fault)
    }
}

/// What a panic leaves in the log before it traps.
#[cfg(target_arch = "wasm32")]
fn tell(info: &std::panic::PanicHookInfo<'_>) {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("for no reason that is text");
    match info.location() {
        Some(place) => crate::log::error!("panicked at {place}: {message}"),
        None => crate::log::error!("panicked: {message}"),
    }
}

/// Whether a script has routes of that family. Known when it is compiled: the host's interfaces that only the others need are then
/// no imports of the guest, and need no grant.
const fn handles(handlers: &[(Family, &str)], family: Family) -> bool {
    let mut rest = handlers;
    while let [(first, _), others @ ..] = rest {
        if *first as u8 == family as u8 {
            return true;
        }
        rest = others;
    }
    false
}

fn on_request(route: impl FnOnce(&mut Request) -> Outcome) -> Result<types::Outcome, String> {
    let mut req = Request::current();
    let end = route(&mut req);
    let flushed = req.message.flush();
    settle(end, [flushed, Ok(())])
}

fn on_both(
    route: impl FnOnce(&mut Request, &mut Reply) -> Outcome,
) -> Result<types::Outcome, String> {
    let (mut req, mut reply) = (Request::current(), Reply::current());
    let end = route(&mut req, &mut reply);
    let flushed = [req.message.flush(), reply.message.flush()];
    settle(end, flushed)
}

/// What a route came to, once what it left unsent is sent. Its own error comes first.
fn settle(end: Outcome, flushed: [Result<()>; 2]) -> Result<types::Outcome, String> {
    let end = end.map_err(Error::into_message)?;
    for result in flushed {
        result.map_err(Error::into_message)?;
    }
    Ok(match end {
        End::Next | End::Done => types::Outcome::Done,
        End::Drop => types::Outcome::Drop,
    })
}

fn unknown(family: &str, name: &str) -> Error {
    Error::new(["this script has no ", family, " route ", name].concat())
}

/// What the macro's code needs.
#[doc(hidden)]
pub mod private {
    pub use crate::config::read;
    pub use crate::rpc::answer;
    pub use serde;

    use std::cell::RefCell;
    use std::thread::LocalKey;

    use crate::error::{Error, Result};

    /// The script's state of this instance.
    pub type State<T> = RefCell<Option<T>>;

    /// What `#[init]` may return.
    pub trait Initial {
        /// The state.
        type State;
        /// The state, or why the script can't be loaded.
        fn ready(self) -> Result<Self::State>;
    }

    impl<T, E> Initial for Result<T, E>
    where
        Error: From<E>,
    {
        type State = T;
        fn ready(self) -> Result<T> {
            self.map_err(Error::from)
        }
    }

    /// Runs a route with the state.
    pub fn with<T, R>(
        state: &'static LocalKey<State<T>>,
        route: impl FnOnce(&mut T) -> Result<R>,
    ) -> Result<R> {
        state.with(|state| match state.try_borrow_mut() {
            Ok(mut state) => match state.as_mut() {
                Some(state) => route(state),
                None => Err(Error::new("a route was called before init")),
            },
            Err(_) => Err(Error::new("a route was called from within a route")),
        })
    }
}
