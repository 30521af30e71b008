//! One instance of a script: its store, its exports, and the calls into it.
//!
//! An instance handles one event at a time, and the next one when the last ended well. After a trap its store can't be
//! used again: it is dropped, and its memory goes back to the pool.

use std::sync::Arc;

use wasmtime::{Result, Store};

use switchhook_bindings::exports::switchhook::script::dialog_route::Event as DialogEvent;
use switchhook_bindings::exports::switchhook::script::erlang_route::Message as WitMessage;
use switchhook_bindings::exports::switchhook::script::lifecycle::Handler;
use switchhook_bindings::switchhook::script::types::Outcome as WitOutcome;
use switchhook_store::dialogs::dialog;

use crate::command::Fault;
use crate::context::Context;
use crate::contract::{Family, Handles};
use crate::dmq;
use crate::erlang;
use crate::error::{GuestError, LoadError};
use crate::event::{Event, Outcome, Route};
use crate::generation::{Generation, Handlers, Slot};
use crate::limits::Limit;
use crate::line::line;
use crate::meter::{Meter, TICKS, attach};

/// See the module's header.
pub(crate) struct Instance {
    store: Store<Context>,
    handles: Handles,
    meter: Arc<Meter>,
    events: u64,
    _slot: Slot,
}

/// Why an instance did not begin.
pub(crate) enum Refused {
    /// A limit, a trap.
    Failed(&'static str, GuestError),
    /// `init` said no.
    Init(String),
    /// `import-state` said no.
    ImportState(String),
    /// `init` named a route without an export.
    NotExported(Family, String),
}

impl Refused {
    /// As the error of the event that needed the instance.
    pub(crate) fn into_guest_error(self) -> GuestError {
        match self {
            Self::Failed(_, error) => error,
            Self::Init(text) => GuestError::Init(text),
            Self::ImportState(text) => GuestError::Init(format!("import-state: {text}")),
            Self::NotExported(family, name) => GuestError::Init(format!(
                "`init` names {family} `{name}`, which is not exported"
            )),
        }
    }

    /// As the error of the load or swap that tried it.
    pub(crate) fn into_load_error(self) -> LoadError {
        match self {
            Self::Failed(function, error) => LoadError::Lifecycle { function, error },
            Self::Init(text) => LoadError::Init(text),
            Self::ImportState(text) => LoadError::ImportState(text),
            Self::NotExported(family, name) => LoadError::HandlerNotExported {
                interface: family.interface(),
                name,
            },
        }
    }
}

impl Instance {
    /// Makes one, and calls `init` and `import-state`. The meter counts for whoever polls.
    pub(crate) async fn begin(
        generation: &Arc<Generation>,
        meter: Arc<Meter>,
    ) -> Result<Box<Self>, Refused> {
        let failed = |function| {
            move |error: wasmtime::Error| {
                Refused::Failed(function, GuestError::of(&error, generation.limits()))
            }
        };
        let slot = generation.slot().map_err(|limit: Limit| {
            Refused::Failed(
                "instantiate",
                GuestError::Limit {
                    limit,
                    trace: Default::default(),
                },
            )
        })?;
        meter.reset(generation.limits().init_deadline);
        let exports = &generation.exports;
        let mut store = Store::new(exports.pre.engine(), Context::new(Arc::clone(generation)));
        store.limiter(|context| &mut context.memory);
        store.set_hostcall_fuel(generation.limits().bytes);
        attach(&mut store, Arc::clone(&meter));
        let instance = exports
            .pre
            .instantiate_async(&mut store)
            .await
            .map_err(failed("instantiate"))?;
        let handles = exports
            .load(&mut store, &instance)
            .map_err(failed("instantiate"))?;
        let mut instance = Box::new(Self {
            store,
            handles,
            meter,
            events: 0,
            _slot: slot,
        });
        if let Some(lifecycle) = instance.handles.lifecycle.clone() {
            instance.ready(None);
            instance.store.data_mut().commands = Some(Vec::new());
            let handlers = lifecycle
                .call_init(&mut instance.store, &generation.config)
                .await
                .map_err(failed("init"))?
                .map_err(|text| Refused::Init(line(&text).into_owned()))?;
            let handlers = checked(generation, handlers)?;
            generation.set_handlers(handlers);
            if let Some(commands) = instance.store.data_mut().commands.take() {
                generation.set_commands(commands);
            }
            if let Some(state) = generation.state.get() {
                instance.ready(None);
                lifecycle
                    .call_import_state(&mut instance.store, state)
                    .await
                    .map_err(failed("import-state"))?
                    .map_err(|text| Refused::ImportState(line(&text).into_owned()))?;
            }
        }
        Ok(instance)
    }

    pub(crate) fn generation(&self) -> &Arc<Generation> {
        self.store.data().generation()
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// How many events it has handled.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Gives it an event and all that it may use for it.
    pub(crate) fn ready(&mut self, event: Option<Box<Event>>) {
        self.store.data_mut().begin(event);
        self.store.set_epoch_deadline(TICKS);
    }

    /// Takes the event back.
    pub(crate) fn end(&mut self) -> Option<Box<Event>> {
        self.events += 1;
        self.store.data_mut().end()
    }

    /// Calls the route of the event that is in the store.
    pub(crate) async fn call(&mut self) -> Result<Outcome, GuestError> {
        let result = self.dispatch().await;
        match result {
            Ok(Some(Ok(WitOutcome::Done))) => Ok(Outcome::Done),
            Ok(Some(Ok(WitOutcome::Drop))) => Ok(Outcome::Drop),
            Ok(Some(Err(text))) => Err(GuestError::Returned(line(&text).into_owned())),
            Ok(None) => {
                let route = self.store.data().try_event().map(|event| &event.route);
                Err(GuestError::NoRoute {
                    interface: route.map_or("lifecycle", Route::interface),
                    name: route.map_or(String::new(), |route| route.name().to_owned()),
                })
            }
            Err(error) => Err(GuestError::of(&error, self.store.data().limits())),
        }
    }

    /// None where the interface is not exported.
    async fn dispatch(&mut self) -> Result<Option<Result<WitOutcome, String>>> {
        let Self { store, handles, .. } = self;
        let Some(event) = store.data().try_event() else {
            return Ok(None);
        };
        Ok(match &event.route {
            Route::Request => match &handles.request {
                Some(guest) => Some(guest.call_on_request(store).await?),
                None => None,
            },
            Route::Reply => match &handles.reply {
                Some(guest) => Some(guest.call_on_reply(store).await?),
                None => None,
            },
            Route::Onsend => match &handles.onsend {
                Some(guest) => Some(guest.call_on_send(store).await?),
                None => None,
            },
            Route::Branch { name, .. } => match &handles.branch {
                Some(guest) => {
                    let name = Arc::clone(name);
                    Some(guest.call_on_branch(store, &name).await?)
                }
                None => None,
            },
            Route::OnReply { name, .. } => match &handles.onreply {
                Some(guest) => {
                    let name = Arc::clone(name);
                    Some(guest.call_on_reply(store, &name).await?)
                }
                None => None,
            },
            Route::Failure { name } => match &handles.failure {
                Some(guest) => {
                    let name = Arc::clone(name);
                    Some(guest.call_on_failure(store, &name).await?)
                }
                None => None,
            },
            Route::ContactExpired(contact) => match &handles.registrar {
                Some(guest) => {
                    let contact = contact.clone();
                    let done = guest.call_on_expired(store, &contact).await?;
                    Some(done.map(|()| WitOutcome::Done))
                }
                None => None,
            },
            Route::ErlangMessage { name, message } => match &handles.erlang {
                Some(guest) => {
                    let name = Arc::clone(name);
                    let message = lowered(message);
                    Some(guest.call_on_message(store, &name, &message).await?)
                }
                None => None,
            },
            Route::ErlangEvent(event) => match &handles.erlang {
                Some(guest) => {
                    let event = event.clone();
                    let done = guest.call_on_event(store, &event).await?;
                    Some(done.map(|()| WitOutcome::Done))
                }
                None => None,
            },
            Route::Dialog { event, info } => match &handles.dialog {
                Some(guest) => {
                    let (event, info) = (wit_event(*event), info.clone());
                    let done = guest.call_on_event(store, event, &info).await?;
                    Some(done.map(|()| WitOutcome::Done))
                }
                None => None,
            },
            Route::Command(invocation) => match &handles.rpc {
                Some(guest) => {
                    let (name, params) = (invocation.name.clone(), invocation.params.clone());
                    let answer = guest.call_on_command(&mut *store, &name, &params).await?;
                    let answer = answer.map_err(|fault| Fault {
                        code: fault.code,
                        message: fault.message,
                    });
                    if let Some(event) = store.data_mut().try_event_mut()
                        && let Route::Command(invocation) = &mut event.route
                    {
                        invocation.answer = Some(answer);
                    }
                    Some(Ok(WitOutcome::Done))
                }
                None => None,
            },
            Route::DmqMessage(message) => match &handles.dmq {
                Some(guest) => {
                    let message = dmq::lowered(message);
                    let answer = guest.call_on_message(&mut *store, &message).await?;
                    Some(answer.map(|answer| {
                        if let Some(event) = store.data_mut().try_event_mut()
                            && let Route::DmqMessage(message) = &mut event.route
                        {
                            message.answer = Some(dmq::lifted(answer));
                        }
                        WitOutcome::Done
                    }))
                }
                None => None,
            },
            Route::Uac { name, answered } => match &handles.uac {
                Some(guest) => {
                    let (name, answered) = (Arc::clone(name), answered.clone());
                    let done = guest.call_on_reply(store, &name, &answered).await?;
                    Some(done.map(|()| WitOutcome::Done))
                }
                None => None,
            },
            Route::DmqEvent(event) => match &handles.dmq {
                Some(guest) => {
                    let event = event.clone();
                    let done = guest.call_on_event(store, &event).await?;
                    Some(done.map(|()| WitOutcome::Done))
                }
                None => None,
            },
        })
    }

    /// Asks for the state that it hands over.
    pub(crate) async fn export_state(&mut self) -> Result<Option<Vec<u8>>, GuestError> {
        let Some(lifecycle) = self.handles.lifecycle.clone() else {
            return Ok(None);
        };
        self.meter.reset(self.generation().limits().init_deadline);
        self.ready(None);
        let state = lifecycle.call_export_state(&mut self.store).await;
        state.map_err(|error| GuestError::of(&error, self.store.data().limits()))
    }
}

fn wit_event(event: dialog::Event) -> DialogEvent {
    match event {
        dialog::Event::Start => DialogEvent::Start,
        dialog::Event::End => DialogEvent::End,
        dialog::Event::Failed => DialogEvent::Failed,
        dialog::Event::Timeout => DialogEvent::Timeout,
    }
}

/// A message as the guest gets it.
fn lowered(message: &erlang::Message) -> WitMessage {
    WitMessage {
        kind: message.kind,
        sender: message.sender.as_ref().map(|pid| {
            let mut term = vec![switchhook_term::VERSION];
            switchhook_term::write::pid(&mut term, pid);
            term
        }),
        node: message.node.clone(),
        content: message.content.clone(),
    }
}

/// Holds what `init` named against what is exported.
fn checked(generation: &Generation, handlers: Vec<Handler>) -> Result<Handlers, Refused> {
    let read = |handler: Handler| {
        let family = Family::from(handler.family);
        let name = if family.is_named() {
            handler.name
        } else {
            String::new()
        };
        if generation.exports.has(family) {
            Ok((family, name.into_boxed_str()))
        } else {
            Err(Refused::NotExported(family, name))
        }
    };
    handlers.into_iter().map(read).collect()
}
