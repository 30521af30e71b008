//! From a config to a running daemon: sockets, tables, scripts, lanes, in this order.
//!
//! Whatever fails points at the setting that it is about. Nothing is answered before everything is up.

use super::Daemon;
use super::bus;
use super::reload::fingerprint;
use super::users::{Face, SharedUsers};
use crate::config::{
    Algorithm, Dialog, Dns, Htable, Initial, Loaded, Problems, Script as ScriptConfig, Sip,
};
use crate::log;
use anyhow::{Context, Result, anyhow};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use switchhook_engine::{Engine, EngineConfig, EngineLimits};
use switchhook_net::{BindError, Listeners, Local, NetLimits};
use switchhook_script::{ErrorReply, Limits, Live, LoadError, Script, Services, Settings};
use switchhook_sip::digest::{self, Authority, Config as DigestConfig};
use switchhook_sip::proxy::{LoopKey, Own};
use switchhook_sip::registrar;
use switchhook_sip::transaction::Timers;
use switchhook_store::{
    DialogLimits, Dialogs, Htables, LocationLimits, Locations, TableConfig, Value,
};

/// Used nonces whose counts are kept; 32 bytes each.
const NONCES: usize = 1 << 16;

/// Starts everything. Blocks while scripts compile.
pub(crate) fn assemble(
    loaded: Loaded,
    file: PathBuf,
    set: Vec<String>,
    log: log::Handle,
) -> Result<Daemon> {
    let config = &loaded.config;
    let lanes = lanes(&config.sip);
    let listen: Vec<_> = config
        .sip
        .listen
        .iter()
        .map(|listen| listen.0.clone())
        .collect();
    let listeners = Listeners::bind(&listen, lanes, &net_limits(&config.sip))
        .map_err(|error| bind_problem(&loaded, &error))?;
    let users = SharedUsers::new(&loaded.users);
    let mut services = services(&loaded, &users, listeners.addresses())?;
    let place = bus::take(&loaded, &mut services)?;
    let services = Arc::new(services);
    let dmq = match place {
        Some(place) => place.config(&loaded, &services, listeners.addresses(), &seed()?)?,
        None => None,
    };
    let (scripts, fingerprints): (Vec<_>, Vec<_>) =
        scripts(&loaded, &services, lanes)?.into_iter().unzip();
    let fingerprints = config
        .script
        .iter()
        .map(|script| script.name.clone())
        .zip(fingerprints)
        .collect();
    let engine = Engine::start(EngineConfig {
        listeners,
        scripts,
        services: Arc::clone(&services),
        timers: timers(&config.sip),
        limits: engine_limits(&config.sip, lanes),
        dns: dns(&config.dns),
        server: config.sip.server.clone(),
        dmq,
    })
    .context("the engine did not start")?;
    Ok(Daemon {
        engine,
        services,
        log,
        started: Instant::now(),
        users,
        file,
        set,
        loaded: Mutex::new(loaded),
        erlang: std::sync::OnceLock::new(),
        fingerprints: Mutex::new(fingerprints),
    })
}

/// Loads the scripts as [`assemble`] does, and opens no socket.
pub(crate) fn check(loaded: &Loaded) -> Result<()> {
    let services = services(loaded, &SharedUsers::new(&loaded.users), &[])?;
    scripts(loaded, &Arc::new(services), 1).map(drop)
}

fn lanes(sip: &Sip) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    sip.lanes.map_or_else(processors, usize::from)
}

fn bind_problem(loaded: &Loaded, error: &BindError) -> Problems {
    let listen = match error {
        BindError::Nothing => None,
        BindError::Transport { listen } | BindError::System { listen, .. } => Some(listen),
    };
    let index = loaded
        .config
        .sip
        .listen
        .iter()
        .position(|known| Some(&known.0) == listen);
    let index = index.unwrap_or_default().to_string();
    let label = match error {
        BindError::System { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            "another program listens there; which one: ss -lnptu".to_owned()
        }
        BindError::System { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    let title = listen.map_or_else(
        || "can't listen".to_owned(),
        |listen| format!("can't listen on {listen}"),
    );
    loaded.problem(&["sip", "listen", &index], &title, label)
}

fn services(loaded: &Loaded, users: &Arc<SharedUsers>, locals: &[Local]) -> Result<Services> {
    let config = &loaded.config;
    let now = Instant::now();
    let mut own = Own::new();
    for local in locals {
        own.add_interface(local.transport, &local.sent_by, local.address);
    }
    for domain in &config.sip.domains {
        own.add_domain(domain);
    }
    let locations = config.location.iter().map(|table| {
        let contacts = table.max_contacts as usize;
        (
            table.name.clone(),
            Locations::new(LocationLimits {
                max_aors: contacts,
                max_contacts: contacts,
            }),
        )
    });
    let registrar = &config.registrar;
    Ok(Services {
        erlang: Default::default(),
        dmq: Default::default(),
        uac: Default::default(),
        own,
        loop_key: loop_key()?,
        htables: htables(&config.htable, now)?,
        locations: locations.collect::<BTreeMap<_, _>>(),
        dialogs: Dialogs::new(now, dialog_limits(&config.dialog)),
        registrar: registrar::Limits {
            default_expires: registrar.default_expires.0,
            min_expires: registrar.min_expires.0,
            max_expires: registrar.max_expires.0,
            max_contacts: registrar.max_contacts.into(),
        },
        authority: authority(loaded, now)?,
        users: Box::new(Face(Arc::clone(users))),
        clock: Instant::now,
    })
}

fn dialog_limits(config: &Dialog) -> DialogLimits {
    DialogLimits {
        max: config.max as usize,
        entries: config.entries,
        lifetime: config.lifetime.0,
        ringing: config.ringing.0,
        bye: config.bye_on_timeout,
        ..DialogLimits::default()
    }
}

fn loop_key() -> Result<LoopKey> {
    let [first, second] = [random::<8>()?, random::<8>()?];
    Ok(LoopKey::new([
        u64::from_ne_bytes(first),
        u64::from_ne_bytes(second),
    ]))
}

/// What the names of the bus's requests are made of, and the name of this life of the node.
fn seed() -> Result<[u64; 5]> {
    let mut seed = [0; 5];
    for word in &mut seed {
        *word = u64::from_ne_bytes(random()?);
    }
    Ok(seed)
}

fn authority(loaded: &Loaded, now: Instant) -> Result<Authority> {
    let auth = &loaded.config.auth;
    let algorithms = auth.algorithms.iter().map(|algorithm| match algorithm {
        Algorithm::Md5 => digest::Algorithm::MD5,
        Algorithm::Sha256 => digest::Algorithm::SHA256,
        Algorithm::Md5Sess => digest::Algorithm::MD5_SESS,
        Algorithm::Sha256Sess => digest::Algorithm::SHA256_SESS,
    });
    let config = DigestConfig {
        algorithms: algorithms.collect(),
        lifetime: auth.nonce_lifetime.0,
        nonces: NONCES,
        ..DigestConfig::default()
    };
    Ok(Authority::new(random()?, now, config))
}

fn htables(tables: &[Htable], now: Instant) -> Result<Htables> {
    let configs = tables.iter().map(|table| TableConfig {
        name: table.name.clone(),
        expire: table.expire.0.0,
        max_items: table.max_items as usize,
        max_bytes: table.max_bytes.bytes(),
    });
    let htables = Htables::new(configs);
    for config in tables {
        let table = htables
            .table(&config.name)
            .ok_or_else(|| anyhow!("htable {} was not made", config.name))?;
        for (key, value) in &config.initial {
            let value = match value {
                Initial::Integer(number) => Value::Integer(*number),
                Initial::Text(text) => Value::Text(text.as_str().into()),
            };
            table
                .set(now, key, value, None)
                .with_context(|| format!("initial item {key} of htable {}", config.name))?;
        }
    }
    Ok(htables)
}

/// Each script with its file's fingerprint.
fn scripts(
    loaded: &Loaded,
    services: &Arc<Services>,
    lanes: usize,
) -> Result<Vec<(Arc<Script>, u64)>> {
    let cache = loaded.config.cache_dir();
    let scripts = loaded
        .config
        .script
        .iter()
        .enumerate()
        .map(|(index, config)| {
            let at = index.to_string();
            let title = format!("script `{}` can't be loaded", config.name);
            let wasm = fs::read(&config.path).map_err(|error| {
                loaded.problem(
                    &["script", &at, "path"],
                    &title,
                    format!("{}: {error}", config.path.display()),
                )
            })?;
            let settings = settings(config, cache.clone(), lanes);
            let effects = Arc::new(Live::new(Arc::clone(services)));
            let script = Script::load(settings, effects, &wasm)
                .map_err(|error| load_problem(loaded, &at, &title, &error))?;
            Ok((script, fingerprint(&wasm)))
        });
    scripts.collect()
}

/// At the setting that would mend it.
fn load_problem(loaded: &Loaded, at: &str, title: &str, error: &LoadError) -> Problems {
    let key = match error {
        LoadError::NotGranted {
            missing, grants, ..
        } => {
            let label = format!("it uses {} without a grant", missing.join(", "));
            let help = format!("to allow it: grants = [{grants}]");
            return loaded.problem_with_help(&["script", at, "grants"], title, &label, help);
        }
        LoadError::Init(_) => "config",
        LoadError::Limits(_) => "limits",
        _ => "path",
    };
    loaded.problem(&["script", at, key], title, error.to_string())
}

fn settings(config: &ScriptConfig, cache: Option<PathBuf>, lanes: usize) -> Settings {
    let limits = &config.limits;
    Settings {
        grants: config
            .grants
            .iter()
            .map(|grant| grant.interface())
            .collect(),
        limits: Limits {
            deadline: limits.deadline.0,
            memory: limits.memory.bytes(),
            stack: limits.stack.bytes(),
            instances: limits.instances,
            host_calls: limits.host_calls,
            bytes: limits.bytes.bytes(),
            ..Limits::default()
        },
        config: config.config_json(),
        cache,
        warm: lanes,
        error_reply: ErrorReply {
            status: config.error_reply.status,
            reason: config.error_reply.reason.clone(),
        },
        ..Settings::new(config.name.clone())
    }
}

fn timers(sip: &Sip) -> Timers {
    let config = &sip.timers;
    let mut timers = Timers::new(config.t1.0, config.t2.0, config.t4.0);
    timers.c = config.c.0;
    if let Some(b) = config.b {
        timers.b = b.0;
    }
    if let Some(f) = config.f {
        timers.f = f.0;
    }
    timers
}

fn engine_limits(sip: &Sip, lanes: usize) -> EngineLimits {
    EngineLimits {
        transactions: (sip.max_transactions as usize).div_ceil(lanes),
        branches: sip.max_branches.into(),
        own_requests: sip.max_own_requests as usize,
        udp_request: sip.udp.max_request.bytes(),
        ..EngineLimits::default()
    }
}

fn net_limits(sip: &Sip) -> NetLimits {
    let (udp, tcp) = (&sip.udp, &sip.tcp);
    NetLimits {
        max_message: sip.max_message.bytes(),
        udp_queue: udp.queue as usize,
        udp_buffer: udp.buffer.bytes(),
        stream_inbox: tcp.receive_queue as usize,
        connections: tcp.max_connections as usize,
        connections_per_address: tcp.max_connections_per_address as usize,
        write_queue: tcp.send_queue.bytes(),
        connect: tcp.connect_timeout.0,
        first_message: tcp.first_message_timeout.0,
        whole_message: tcp.message_timeout.0,
        idle: tcp.idle_timeout.0,
        stalled: tcp.send_timeout.0,
    }
}

fn dns(config: &Dns) -> switchhook_net::Dns {
    switchhook_net::Dns {
        servers: config.servers.iter().map(|server| server.0).collect(),
        timeout: config.timeout.0,
        attempts: config.attempts.saturating_sub(1).into(),
        cache: config.cache_entries.into(),
        ..switchhook_net::Dns::default()
    }
}

/// From the system's generator, for keys.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.context("the system gives no random numbers (/dev/urandom)")?;
    Ok(bytes)
}
