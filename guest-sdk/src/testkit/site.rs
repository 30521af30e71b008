//! A site: a loaded script, and what the daemon around it would know.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::call::Call;
use super::message::Draft;
use super::world::{World, address_of_record, within, world};
use crate::bindings::exports::switchhook::script::{
    branch_route, dialog_route, dmq_route, erlang_route, failure_route, lifecycle, onreply_route,
    onsend_route, registrar_route, reply_route, request_route, rpc_route, uac_route,
};
use crate::error::Result;
use crate::host::dialog::Info;
use crate::host::htable;
use crate::host::registrar::Binding;
use crate::host::types::Outcome;
use crate::routes::{Exports, Family, Script};
use crate::testkit::world::LOCAL;

/// A script loaded with a config, and what is around it: domains, contacts, hash tables. It listens on udp:127.0.0.1:5060.
#[derive(Clone)]
pub struct Site {
    pub(super) world: Rc<RefCell<World>>,
    pub(super) script: Loaded,
}

/// A script's exports, and the config it is initialised with.
#[derive(Clone)]
pub(super) struct Loaded {
    id: u64,
    kind: TypeId,
    config: Rc<str>,
    init: fn(String) -> Result<Vec<lifecycle::Handler>, String>,
    pub(super) export_state: fn() -> Option<Vec<u8>>,
    pub(super) import_state: fn(Vec<u8>) -> Result<(), String>,
    pub(super) on_request: fn() -> Result<Outcome, String>,
    pub(super) on_reply: fn() -> Result<Outcome, String>,
    pub(super) on_send: fn() -> Result<Outcome, String>,
    pub(super) on_branch: fn(String) -> Result<Outcome, String>,
    pub(super) on_branch_reply: fn(String) -> Result<Outcome, String>,
    pub(super) on_failure: fn(String) -> Result<Outcome, String>,
    pub(super) on_expired: fn(Binding) -> Result<(), String>,
    pub(super) on_message: fn(String, erlang_route::Message) -> Result<Outcome, String>,
    pub(super) on_erlang_event: fn(erlang_route::Event) -> Result<(), String>,
    pub(super) on_bus_message: fn(dmq_route::Message) -> Result<dmq_route::Answer, String>,
    pub(super) on_bus_event: fn(dmq_route::Event) -> Result<(), String>,
    pub(super) on_own_reply: fn(String, uac_route::Answered) -> Result<(), String>,
    pub(super) on_dialog: fn(dialog_route::Event, Info) -> Result<(), String>,
    pub(super) on_command: fn(String, String) -> Result<String, rpc_route::Fault>,
}

thread_local! {
    /// Which load each type of script was initialised for last on this thread: its state is the thread's.
    static INITIALISED: RefCell<BTreeMap<TypeId, u64>> = const { RefCell::new(BTreeMap::new()) };
    static LOADS: Cell<u64> = const { Cell::new(0) };
}

impl Site {
    /// Loads a script with its config, as JSON: `Site::new(routes::Script, r#"{"auth": false}"#)`. `example.test` is ours.
    ///
    /// # Panics
    /// Where the script's init refuses.
    pub fn new<S: Script>(script: S, config: &str) -> Site {
        match Site::load(script, config) {
            Ok(site) => site,
            Err(refusal) => panic!("the script can't be loaded: {refusal}"),
        }
    }

    /// The same, with the refusal of the script's init for a test to look at.
    pub fn load<S: Script>(_script: S, config: &str) -> Result<Site, String> {
        let world = Rc::new(RefCell::new(World {
            domains: vec!["example.test".to_owned()],
            ..World::default()
        }));
        let script = Loaded::of::<S>(config);
        let handlers = within(&world, || script.initialise())?;
        world.borrow_mut().handlers = handlers;
        Ok(Site { world, script })
    }

    /// With a further domain of ours.
    #[must_use]
    pub fn domain(self, name: &str) -> Site {
        self.world.borrow_mut().domains.push(name.to_owned());
        self
    }

    /// With a registered contact in the table `location`.
    #[must_use]
    pub fn contact(self, aor: &str, uri: &str) -> Site {
        self.contact_with_q(aor, uri, 1000)
    }

    /// The same with a preference in thousandths.
    #[must_use]
    pub fn contact_with_q(self, aor: &str, uri: &str, q: u16) -> Site {
        let aor = address_of_record(aor);
        let contact = Binding {
            aor: aor.clone(),
            uri: uri.to_owned(),
            q,
            expires: 3600,
            call_id: "registered".to_owned(),
            cseq: 1,
            user_agent: String::new(),
            instance: String::new(),
            path: Vec::new(),
            received: LOCAL,
        };
        let table = ("location".to_owned(), aor);
        let mut world = self.world.borrow_mut();
        world.locations.entry(table).or_default().push(contact);
        drop(world);
        self
    }

    /// With an empty hash table.
    #[must_use]
    pub fn table(self, name: &str) -> Site {
        let mut world = self.world.borrow_mut();
        world.htables.entry(name.to_owned()).or_default();
        drop(world);
        self
    }

    /// The registered contacts of an address of record, oldest first.
    pub fn contacts(&self, aor: &str) -> Vec<String> {
        let world = self.world.borrow();
        let key = ("location".to_owned(), address_of_record(aor));
        let contacts = world.locations.get(&key).into_iter().flatten();
        contacts.map(|contact| contact.uri.clone()).collect()
    }

    /// The value of a key in a hash table.
    pub fn item(&self, table: &str, key: &str) -> Option<htable::Value> {
        let world = self.world.borrow();
        world.htables.get(table)?.get(key).cloned()
    }

    /// A request comes: runs the request route.
    pub fn receive(&self, request: Draft) -> Call {
        Call::new(self.clone(), request)
    }

    /// The contacts of an address of record expire: runs `event_route[usrloc:contact-expired]` for each.
    pub fn expire(&self, aor: &str) -> Result<(), String> {
        let key = ("location".to_owned(), address_of_record(aor));
        let expired = self.world.borrow_mut().locations.remove(&key);
        for contact in expired.unwrap_or_default() {
            if self.handles(Family::RegistrarRoute, "") {
                self.run(|script| (script.on_expired)(contact))?;
            }
        }
        Ok(())
    }

    /// Another script takes over, with what `export_state` hands it; the tables stay. An error text where it refuses.
    pub fn swap<S: Script>(&self, _script: S, config: &str) -> Result<Site, String> {
        let state = self.run(|script| (script.export_state)());
        let script = Loaded::of::<S>(config);
        let handlers = within(&self.world, || script.initialise())?;
        let site = Site {
            world: self.world.clone(),
            script,
        };
        if let Some(state) = state {
            site.run(|script| (script.import_state)(state))?;
        }
        site.world.borrow_mut().handlers = handlers;
        Ok(site)
    }

    /// What the script has logged so far, as `info: ...`.
    pub fn log(&self) -> Vec<String> {
        self.world.borrow().log.clone()
    }

    pub(super) fn handles(&self, family: Family, name: &str) -> bool {
        let world = self.world.borrow();
        let mut handlers = world.handlers.iter();
        handlers.any(|(f, n)| *f == family && n == name)
    }

    /// Calls an export, after init where another script of that type ran on this thread since.
    pub(super) fn run<R>(&self, export: impl FnOnce(&Loaded) -> R) -> R {
        within(&self.world, || {
            let current = INITIALISED.with_borrow(|all| all.get(&self.script.kind).copied());
            if current != Some(self.script.id) {
                let event = world(|world| world.event.take());
                if let Err(refusal) = self.script.initialise() {
                    panic!("the script's init refuses what it took before: {refusal}");
                }
                world(|world| world.event = event);
            }
            export(&self.script)
        })
    }
}

impl Loaded {
    fn of<S: Script>(config: &str) -> Loaded {
        LOADS.set(LOADS.get() + 1);
        Loaded {
            id: LOADS.get(),
            kind: TypeId::of::<S>(),
            config: config.into(),
            init: <Exports<S> as lifecycle::Guest>::init,
            export_state: <Exports<S> as lifecycle::Guest>::export_state,
            import_state: <Exports<S> as lifecycle::Guest>::import_state,
            on_request: <Exports<S> as request_route::Guest>::on_request,
            on_reply: <Exports<S> as reply_route::Guest>::on_reply,
            on_send: <Exports<S> as onsend_route::Guest>::on_send,
            on_branch: <Exports<S> as branch_route::Guest>::on_branch,
            on_branch_reply: <Exports<S> as onreply_route::Guest>::on_reply,
            on_failure: <Exports<S> as failure_route::Guest>::on_failure,
            on_expired: <Exports<S> as registrar_route::Guest>::on_expired,
            on_message: <Exports<S> as erlang_route::Guest>::on_message,
            on_erlang_event: <Exports<S> as erlang_route::Guest>::on_event,
            on_bus_message: <Exports<S> as dmq_route::Guest>::on_message,
            on_bus_event: <Exports<S> as dmq_route::Guest>::on_event,
            on_own_reply: <Exports<S> as uac_route::Guest>::on_reply,
            on_dialog: <Exports<S> as dialog_route::Guest>::on_event,
            on_command: <Exports<S> as rpc_route::Guest>::on_command,
        }
    }

    fn initialise(&self) -> Result<Vec<(Family, String)>, String> {
        world(|world| world.commands.clear());
        let handlers = (self.init)(self.config.to_string())?;
        INITIALISED.with_borrow_mut(|all| all.insert(self.kind, self.id));
        Ok(handlers
            .into_iter()
            .map(|handler| (handler.family, handler.name))
            .collect())
    }
}
