//! A whole run: sockets, registration, the scenario, the report.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use switchhook_net::mmsg;

use crate::drive::{Course, Watch, drive};
use crate::engine::{Engine, Setup};
use crate::ids;
use crate::line::Line;
use crate::options::Options;
use crate::pace::{End, Load, Pace};
use crate::report::Report;
use crate::scenario::program::Program;
use crate::scenario::{Place, Scenario, ScenarioError};

/// Registrations under way at once, before the scenario.
const REGISTERING: usize = 64;

/// A run that could not be made. Calls that fail are in the [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The scenario can't be used.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A socket could not be opened.
    #[error("can't listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// Targets, source addresses or numbers that do not go together.
    #[error("{0}")]
    Options(String),
    /// Phones that had to be registered could not be.
    #[error("{failed} of {count} phones could not register: {reason}")]
    Register {
        /// How many.
        count: u64,
        /// How many of them not.
        failed: u64,
        /// The first failure.
        reason: String,
    },
    /// The system refused to wait, or to stay on a processor.
    #[error("{what}: {error}")]
    System {
        /// What for.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// Runs a scenario; `watch` is told how it goes.
pub(crate) fn run(
    scenario: &Scenario,
    options: &Options,
    watch: &mut dyn Watch,
) -> Result<Report, RunError> {
    check(options)?;
    let place = Place {
        domain: options.domain.clone(),
        dial: options.dial,
    };
    let program = scenario.program(&place)?;
    if let Some((role, _)) = options
        .ports
        .iter()
        .find(|(role, _)| !program.roles.contains(role))
    {
        let text = format!("the scenario has no phone `{role}`, whose port is given");
        return Err(RunError::Options(text));
    }
    if let Some(cpu) = options.cpu {
        mmsg::stay_on(cpu).map_err(|error| RunError::System {
            what: "can't stay on that processor",
            error,
        })?;
    }
    let mut lines = open(&program, options)?;
    let per_role = lines.len() / program.roles.len().max(1);
    let mut setup = Setup {
        targets: options
            .targets
            .iter()
            .map(|target| (*target, target.to_string().into_bytes()))
            .collect(),
        users: options.users,
        sockets: per_role,
        first_line: (0..program.roles.len())
            .map(|role| role * per_role)
            .collect(),
        password: options.password.clone(),
        timeout: options.timeout,
        most: options.most.min(ids::MAX_SLOTS),
        run: seed(),
    };
    let registered = if options.register {
        &program.registered[..]
    } else {
        &[]
    };
    for role in registered {
        register(&program, *role, true, &place, &mut setup, &mut lines)?;
    }
    let mut engine = Engine::new(&program, &setup, &mut lines);
    let pace = Pace::new(options.load, options.end, options.warmup);
    let course = work(&mut engine, pace, options.warmup, watch)?;
    let stats = engine.stats;
    for role in registered {
        // what the scenario came to is told in any case
        let _ = register(&program, *role, false, &place, &mut setup, &mut lines);
    }
    let refused = lines.iter().map(|line| line.refused).sum();
    Ok(Report::new(&program, options, course, &stats, refused))
}

fn work(
    engine: &mut Engine<'_>,
    pace: Pace,
    warmup: Duration,
    watch: &mut dyn Watch,
) -> Result<Course, RunError> {
    drive(engine, pace, warmup, watch).map_err(|error| RunError::System {
        what: "can't wait for messages",
        error,
    })
}

fn check(options: &Options) -> Result<(), RunError> {
    let wrong = |text: &str| Err(RunError::Options(text.to_owned()));
    let v4 = options
        .targets
        .iter()
        .filter(|target| target.is_ipv4())
        .count();
    if options.targets.is_empty() {
        return wrong("expected a target");
    }
    if v4 != 0 && v4 != options.targets.len() {
        return wrong("expected targets of one kind, IPv4 or IPv6");
    }
    if options.bind.iter().any(|ip| ip.is_ipv4() != (v4 != 0)) {
        return wrong("expected source addresses of the targets' kind, IPv4 or IPv6");
    }
    if options.users == 0 || options.sockets == 0 {
        return wrong("expected at least one user and one socket");
    }
    match options.load {
        Load::Closed(0) => wrong("expected a concurrency of at least 1"),
        Load::Open(rate) if rate.is_nan() || rate <= 0.0 => wrong("expected a rate above 0"),
        _ => Ok(()),
    }
}

/// Opens every role's sockets, role by role.
fn open(program: &Program, options: &Options) -> Result<Vec<Line>, RunError> {
    let mut lines = Vec::new();
    let binds = if options.bind.is_empty() {
        options
            .targets
            .first()
            .map(|target| source(*target))
            .into_iter()
            .collect()
    } else {
        options.bind.clone()
    };
    for role in &program.roles {
        let port = options
            .ports
            .iter()
            .find(|(name, _)| name == role)
            .map_or(0, |(_, port)| *port);
        for ip in &binds {
            for number in 0..options.sockets {
                let port = match port {
                    0 => 0,
                    port => u16::try_from(usize::from(port) + number)
                        .map_err(|_| RunError::Options(format!("no port {number} above {port}")))?,
                };
                let line = Line::open(role, *ip, port).map_err(|error| RunError::Listen {
                    address: SocketAddr::new(*ip, port),
                    error,
                })?;
                lines.push(line);
            }
        }
    }
    Ok(lines)
}

/// The address that the system would take to reach a target.
fn source(target: SocketAddr) -> IpAddr {
    let any: IpAddr = if target.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let found = std::net::UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(target)?;
        socket.local_addr()
    });
    match found {
        Ok(address) => address.ip(),
        Err(_) if target.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
        Err(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Registers every phone of a role, or takes that back.
fn register(
    program: &Program,
    role: usize,
    registered: bool,
    place: &Place,
    setup: &mut Setup,
    lines: &mut [Line],
) -> Result<(), RunError> {
    let name = program.roles.get(role).map_or("", String::as_str);
    let scenario = Scenario::registering(name, registered)?;
    let registering = scenario.program(place)?;
    // ids of its own, for the scenario too
    setup.run = setup.run.wrapping_add(1) & 0x007f_ffff;
    let setup = Setup {
        run: setup.run | 0x0080_0000,
        targets: setup.targets.clone(),
        first_line: setup.first_line.get(role).copied().into_iter().collect(),
        password: setup.password.clone(),
        ..*setup
    };
    let count = setup.users as u64;
    let end = End {
        duration: None,
        count: Some(count),
    };
    let mut engine = Engine::new(&registering, &setup, lines);
    let pace = Pace::new(Load::Closed(REGISTERING), end, Duration::ZERO);
    work(&mut engine, pace, Duration::ZERO, &mut Nobody)?;
    let Some(((_, reason), failure)) = engine.stats.failures.first_key_value() else {
        return Ok(());
    };
    Err(RunError::Register {
        count,
        failed: engine.stats.all.failed,
        reason: format!("{}: {}", reason.name(), failure.detail),
    })
}

/// Nobody watches.
pub(crate) struct Nobody;

impl Watch for Nobody {}

/// A number that another run would hardly have.
fn seed() -> u32 {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mixed = (time.as_nanos() as u64 ^ u64::from(std::process::id()) << 40)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 41) as u32
}
