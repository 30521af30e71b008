//! A script: its settings, its engine, and the generations of its code.
//!
//! Loading and swapping compile and call the guest, so they block for milliseconds to minutes: call them on a thread that
//! may wait. The lanes see a swap as one changed number; a load that fails has changed nothing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::cache::Cache;
use crate::compile::compile;
use crate::context::Context;
use crate::contract::{Exports, check_imports};
use crate::drive::block_on;
use crate::effects::Effects;
use crate::error::{LoadError, message};
use crate::generation::{Generation, GenerationId, Share, Shared};
use crate::grants::Grants;
use crate::host;
use crate::instance::{Instance, Refused};
use crate::limits::Limits;
use crate::meter::{Meter, Metered};
use crate::runtime;

/// What answers a request whose route failed or decided nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReply {
    /// 300 to 699.
    pub status: u16,
    /// The reason phrase; empty for the standard one.
    pub reason: String,
}

impl Default for ErrorReply {
    fn default() -> Self {
        Self {
            status: 500,
            reason: "Server Internal Error".into(),
        }
    }
}

/// The settings of a script.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in config and log.
    pub name: String,
    /// What it may use.
    pub grants: Grants,
    /// How much it may use.
    pub limits: Limits,
    /// Its `config` table as JSON; handed to `init`.
    pub config: String,
    /// Where compiled code is kept; none keeps none.
    pub cache: Option<PathBuf>,
    /// Instances that a load makes ahead: one for each lane. At least one is made, to see that it can be.
    pub warm: usize,
    /// How long transactions may keep an old generation.
    pub drain: Duration,
    /// The answer when it fails.
    pub error_reply: ErrorReply,
}

impl Settings {
    /// A script of that name with nothing granted and all else at its default.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            grants: Grants::default(),
            limits: Limits::default(),
            config: "{}".into(),
            cache: None,
            warm: 1,
            drain: Duration::from_secs(300),
            error_reply: ErrorReply::default(),
        }
    }
}

/// What a swap exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swapped {
    /// The generation that drains now.
    pub old: GenerationId,
    /// The one that routes now.
    pub new: GenerationId,
}

/// See the module's header.
pub struct Script {
    settings: Settings,
    shared: Arc<Shared>,
    engine: Engine,
    linker: Linker<Context>,
    cache: Option<Cache>,
    /// What `init` gets; at first that of the settings.
    config: Mutex<String>,
    current: Mutex<Arc<Generation>>,
    /// Counts exchanges; lanes compare it with what they saw.
    version: AtomicU64,
    draining: Mutex<Vec<Arc<Generation>>>,
    /// Held through a swap: one at a time.
    swapping: Mutex<()>,
}

impl Script {
    /// Loads a script: compiles it or finds it in the cache, holds its imports against the grants, calls `init` and
    /// makes instances ahead. Blocks.
    pub fn load(
        settings: Settings,
        effects: Arc<dyn Effects>,
        wasm: &[u8],
    ) -> Result<Arc<Self>, LoadError> {
        let engine = runtime::engine(&settings.limits)?;
        let mut linker = Linker::new(&engine);
        host::link(&mut linker, settings.grants)
            .map_err(|error| LoadError::Limits(message(&error)))?;
        let shared = Arc::new(Shared {
            name: settings.name.clone(),
            limits: settings.limits.clone(),
            effects,
        });
        let cache = settings.cache.as_deref().and_then(Cache::open);
        let loader = Loader {
            settings: &settings,
            shared: &shared,
            engine: &engine,
            linker: &linker,
            cache: cache.as_ref(),
        };
        let generation = loader.load(wasm)?;
        loader.warm(&generation)?;
        info!(script = settings.name, generation = %generation.id(), hash = %generation.hash(), "loaded");
        Ok(Arc::new(Self {
            config: Mutex::new(settings.config.clone()),
            settings,
            shared,
            engine,
            linker,
            cache,
            current: Mutex::new(generation),
            version: AtomicU64::new(1),
            draining: Mutex::default(),
            swapping: Mutex::default(),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// The answer when it fails.
    pub fn error_reply(&self) -> &ErrorReply {
        &self.settings.error_reply
    }

    /// The generation that routes now. Lanes ask their [`crate::Pool`] instead.
    pub fn current(&self) -> Arc<Generation> {
        Arc::clone(&lock(&self.current))
    }

    /// The current generation and those that drain, newest first.
    pub fn generations(&self) -> Vec<Arc<Generation>> {
        let mut all = vec![self.current()];
        all.extend(lock(&self.draining).iter().rev().cloned());
        all
    }

    /// Exchanges the code. The new module is compiled, checked, begun and warmed beside the running one, gets the state
    /// that the old one hands over, and only then takes over. Blocks. After an error nothing has changed.
    pub fn swap(&self, wasm: &[u8]) -> Result<Swapped, LoadError> {
        let config = lock(&self.config).clone();
        self.swap_configured(wasm, config)
    }

    /// The same with another `config` for `init`, which later swaps keep.
    pub fn swap_configured(&self, wasm: &[u8], config: String) -> Result<Swapped, LoadError> {
        let _one_at_a_time = lock(&self.swapping);
        let settings = Settings {
            config,
            ..self.settings.clone()
        };
        let loader = Loader {
            settings: &settings,
            shared: &self.shared,
            engine: &self.engine,
            linker: &self.linker,
            cache: self.cache.as_ref(),
        };
        let new = loader.load(wasm)?;
        let old = self.current();
        if let Some(state) = handed_over(&old)? {
            let _ = new.state.set(state);
        }
        loader.warm(&new)?;
        let now = Instant::now();
        old.drain(now);
        let swapped = Swapped {
            old: old.id(),
            new: new.id(),
        };
        lock(&self.draining).push(old);
        *lock(&self.current) = new;
        *lock(&self.config) = settings.config;
        self.version.fetch_add(1, Ordering::Release);
        info!(script = self.name(), old = %swapped.old, new = %swapped.new, "swapped");
        self.sweep(now);
        Ok(swapped)
    }

    /// Lets generations go that nothing keeps, or whose time is over. Call it now and then.
    pub fn sweep(&self, now: Instant) {
        lock(&self.draining).retain(|generation| {
            let since = generation.draining_since().unwrap_or(now);
            let pins = generation.pins();
            let overdue = now.saturating_duration_since(since) >= self.settings.drain;
            if pins > 0 && !overdue {
                return true;
            }
            if pins > 0 {
                warn!(script = self.name(), generation = %generation.id(), transactions = pins,
                    "drained at its deadline: its transactions go on with the current generation");
            }
            generation.retire();
            false
        });
    }

    /// How many exchanges there were.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The current generation and the count that belongs to it, or an older one.
    pub(crate) fn read(&self) -> (u64, Arc<Generation>) {
        let version = self.version();
        (version, self.current())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Warm instances keep their generation, and it keeps them.
        for generation in self.generations() {
            generation.retire();
        }
    }
}

struct Loader<'a> {
    settings: &'a Settings,
    shared: &'a Arc<Shared>,
    engine: &'a Engine,
    linker: &'a Linker<Context>,
    cache: Option<&'a Cache>,
}

impl Loader<'_> {
    fn load(&self, wasm: &[u8]) -> Result<Arc<Generation>, LoadError> {
        let Settings {
            name,
            grants,
            limits,
            config,
            ..
        } = self.settings;
        let compiled = compile(self.engine, wasm, limits, self.cache)?;
        check_imports(name, self.engine, &compiled.component, *grants)?;
        let pre = self
            .linker
            .instantiate_pre(&compiled.component)
            .map_err(|error| LoadError::Invalid(message(&error)))?;
        let exports = Exports::find(name, pre)?;
        let shared = Arc::clone(self.shared);
        Ok(Arc::new(Generation::new(
            shared,
            compiled.hash,
            exports,
            config.clone(),
        )))
    }

    /// Begins instances ahead. The first one also tells what the script handles.
    fn warm(&self, generation: &Arc<Generation>) -> Result<(), LoadError> {
        let wanted = self
            .settings
            .warm
            .clamp(1, self.settings.limits.instances as usize);
        for _ in 0..wanted {
            let meter = Arc::new(Meter::default());
            let begun = Box::pin(Instance::begin(generation, Arc::clone(&meter)));
            let begun = block_on(Metered::new(begun, meter));
            match begun {
                Ok(instance) => generation.put_warm(instance),
                Err(refused) => {
                    generation.retire();
                    return Err(Refused::into_load_error(refused));
                }
            }
        }
        Ok(())
    }
}

/// How often, a millisecond apart, a swap looks for an instance that is not at work.
const LOOKS: u32 = 50;

/// The state that the old generation hands over: of the instance that handled the most events. Where all are at work for
/// long, what this generation was given itself is handed on.
fn handed_over(old: &Arc<Generation>) -> Result<Option<Vec<u8>>, LoadError> {
    if old.exports.lifecycle.is_none() {
        return Ok(None);
    }
    for _ in 0..LOOKS {
        let mut seated: Vec<_> = old
            .shares()
            .into_iter()
            .filter_map(|share| Some((share.seat.take()?, share)))
            .collect();
        seated.sort_by_key(|(instance, _)| instance.events());
        let Some((mut instance, share)) = seated.pop() else {
            if old.is_fresh() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        for (other, share) in seated {
            give_back(other, &share);
        }
        let meter = Arc::clone(instance.meter());
        let exported = block_on(Metered::new(Box::pin(instance.export_state()), meter));
        return match exported {
            Ok(state) => {
                give_back(instance, &share);
                Ok(state)
            }
            Err(error) => Err(LoadError::Lifecycle {
                function: "export-state",
                error,
            }),
        };
    }
    Ok(old.state.get().cloned())
}

/// Puts an instance back, unless its lane has put another one there meanwhile.
fn give_back(instance: Box<Instance>, share: &Share) {
    if let Some(newer) = share.seat.swap(Some(instance)) {
        drop(share.seat.swap(Some(newer)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
