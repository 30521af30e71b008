//! The bus: 100,000 items and contacts to a node that joins, between our nodes, to and from Kamailio, and between Kamailio nodes;
//! and how many updates a second two of our nodes keep up with.
//!
//! Whoever has them was told by a member made by hand, in the bodies that both kinds read. The clock runs from when the joiner
//! listens until it has all. All pairs join in turn, as often as is asked, each with nodes of its own; medians count.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::results::Line;
use crate::servers::{Stable, free_port, listens, tail};
use crate::stats::Spread;
use crate::{account, sys};

/// Items, and contacts.
const COUNT: usize = 100_000;
/// The most contacts or items of a message by which a node is filled.
const BATCH: usize = 100;
/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// The longest that anybody waits for one that joins: Kamailio that lost a message never sends it again.
const ENOUGH: Duration = Duration::from_secs(60);
/// Updates a second, and for how long.
const RATE: usize = 10_000;
const SECONDS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    Kamailio,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Items,
    Contacts,
}

/// The targets, in seconds, of what our nodes take.
fn target(what: What) -> f64 {
    match what {
        What::Items => 1.0,
        What::Contacts => 2.0,
    }
}

pub(super) fn measure(stable: &Stable, rounds: usize) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for what in [What::Items, What::Contacts] {
        let name = match what {
            What::Items => "items of a table",
            What::Contacts => "contacts",
        };
        let pairs = [
            (Kind::Kamailio, Kind::Kamailio, "Kamailio to Kamailio"),
            (Kind::Ours, Kind::Ours, "Switchhook to Switchhook"),
            (Kind::Ours, Kind::Kamailio, "Switchhook to Kamailio"),
            (Kind::Kamailio, Kind::Ours, "Kamailio to Switchhook"),
        ];
        let mut courses = [const { Vec::new() }; 4];
        for _ in 0..rounds {
            for ((from, to, pair), course) in pairs.into_iter().zip(&mut courses) {
                let joined = join(stable, what, from, to).with_context(|| pair.to_owned())?;
                course.push(joined);
            }
        }
        let mut theirs = f64::INFINITY;
        for ((from, to, pair), course) in pairs.into_iter().zip(courses) {
            let title = format!("{COUNT} {name}, {pair}");
            let (seconds, note) = middle(&course);
            let show = |value: f64| match value.is_finite() {
                true if value == seconds => format!("{value:.2} s{note}"),
                true => format!("{value:.2} s"),
                false => format!("never{note}"),
            };
            lines.push(match (from, to) {
                (Kind::Kamailio, Kind::Kamailio) => {
                    theirs = seconds;
                    Line::plain(title, show(seconds))
                }
                (Kind::Ours, Kind::Ours) => Line::at_most(title, seconds, target(what), show),
                _ => Line::at_most(title, seconds, theirs, show),
            });
        }
    }
    lines.extend(updates(stable)?);
    Ok(lines)
}

/// The median of the rounds' seconds, and what there is to say of it: least and most, or how much arrived in a round that did not
/// get all, which spoils it.
fn middle(course: &[Joined]) -> (f64, String) {
    let seconds = course.iter().map(|joined| match joined {
        Joined::All(seconds) => Ok(*seconds),
        Joined::Part(count) => Err(*count),
    });
    match seconds.collect::<Result<Vec<_>, _>>() {
        Ok(seconds) => match Spread::of(seconds) {
            Some(spread) => (
                spread.median,
                format!(" ({:.2} - {:.2})", spread.least, spread.most),
            ),
            None => (f64::INFINITY, String::new()),
        },
        Err(count) => (f64::INFINITY, format!(", {count} arrived")),
    }
}

/// What came of joining.
enum Joined {
    /// All is there after so many seconds.
    All(f64),
    /// No more than that came while anybody would wait.
    Part(usize),
}

/// How long one that joins takes to have all.
fn join(stable: &Stable, what: What, from: Kind, to: Kind) -> Result<Joined> {
    let donor = Node::start(stable, from, None)?;
    donor.fill(what)?;
    let end = Instant::now() + PATIENCE;
    while donor.count(what)? < COUNT {
        ensure!(Instant::now() < end, "the first node was not filled");
        thread::sleep(Duration::from_millis(50));
    }
    let joiner = Node::start(stable, to, Some(donor.at))?;
    let begin = joiner.listens;
    while joiner.count(what)? < COUNT {
        if begin.elapsed() > ENOUGH {
            return Ok(Joined::Part(joiner.count(what)?));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(Joined::All(begin.elapsed().as_secs_f64()))
}

/// Updates at a steady rate, from one of our nodes to another.
fn updates(stable: &Stable) -> Result<Vec<Line>> {
    let first = Node::start(stable, Kind::Ours, None)?;
    let second = Node::start(stable, Kind::Ours, Some(first.at))?;
    let end = Instant::now() + PATIENCE;
    while !first
        .rpc("dmq.list-nodes", &json!({}))?
        .to_string()
        .contains("switchhook")
    {
        ensure!(Instant::now() < end, "the two do not know each other");
        thread::sleep(Duration::from_millis(50));
    }
    let socket = UnixStream::connect(&first.control)?;
    let mut answers = BufReader::new(socket.try_clone()?);
    let mut requests = socket;
    let each = 100;
    let keys = 20_000;
    let memory = || account::memory(&[first.child.id(), second.child.id()]);
    let mut warm = 0;
    let begin = Instant::now();
    let total = RATE * SECONDS;
    for batch in 0..total / each {
        let due = begin + Duration::from_secs_f64((batch * each) as f64 / RATE as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let calls: Vec<_> = (batch * each..(batch + 1) * each)
            .map(|n| {
                format!(
                    r#"{{"jsonrpc":"2.0","id":{n},"method":"htable.set","params":{{"table":"ht","key":"k{}","value":"{n}"}}}}"#,
                    n % keys
                )
            })
            .collect();
        writeln!(requests, "[{}]", calls.join(","))?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        ensure!(!answer.contains("\"error\""), "{answer}");
        if batch == total / each / 4 {
            warm = memory();
        }
    }
    let rate = total as f64 / begin.elapsed().as_secs_f64();
    let (last, key) = ((total - 1).to_string(), format!("k{}", (total - 1) % keys));
    let written = Instant::now();
    let get = json!({ "table": "ht", "key": key });
    while !second.rpc("htable.get", &get)?.to_string().contains(&last) {
        ensure!(written.elapsed() < PATIENCE, "the last one did not arrive");
        thread::sleep(Duration::from_millis(1));
    }
    let late = written.elapsed().as_secs_f64() * 1e3;
    let stats = first.rpc("dmq.stats", &json!({}))?;
    let own = stats.get("own");
    let number = |name: &str| {
        let number = own.and_then(|own| own.get(name)?.as_u64());
        number.unwrap_or_default() as f64
    };
    let again = 100.0 * number("copies") / number("sent").max(1.0);
    let grown = memory().saturating_sub(warm) as f64 / 1048576.0;
    Ok(vec![
        Line::plain(
            format!("updates a second between our nodes, {SECONDS} s"),
            format!("{rate:.0}"),
        ),
        Line::plain("the last of them arrives after", format!("{late:.0} ms")),
        Line::at_most("messages sent again", again, 0.0, |v| format!("{v:.2} %")),
        Line::at_most(
            "memory of both, grown since a quarter of it",
            grown,
            16.0,
            |v| format!("{v:.1} MiB"),
        ),
    ])
}

/// A member of the bus. Ends when dropped.
struct Node {
    kind: Kind,
    at: SocketAddr,
    /// The admin socket, or Kamailio's control socket.
    control: PathBuf,
    child: Child,
    /// Since when it listens.
    listens: Instant,
}

impl Drop for Node {
    fn drop(&mut self) {
        sys::terminate(self.child.id());
        let _ = self.child.wait();
    }
}

impl Node {
    fn start(stable: &Stable, kind: Kind, peer: Option<SocketAddr>) -> Result<Node> {
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let dir = stable.dir.join(format!("bus-{}", at.port()));
        fs::create_dir_all(&dir)?;
        let control = dir.join("control");
        let mut command = match kind {
            Kind::Ours => ours(stable, &dir, at, peer, &control)?,
            Kind::Kamailio => kamailio(stable, &dir, at, peer, &control),
        };
        let log = fs::File::create(dir.join("log"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut child = command.spawn().context("cannot start a node")?;
        let begin = Instant::now();
        // Looked at, not tried: whoever takes the port to see whether it is free may have it at the moment when the node wants it.
        while !listens(at.port())? {
            if let Some(status) = child.try_wait()? {
                bail!("it ended with {status}; {}", tail(&dir.join("log")));
            }
            ensure!(begin.elapsed() < PATIENCE, "it does not listen");
            thread::sleep(Duration::from_millis(1));
        }
        let listens = Instant::now();
        let node = Node {
            kind,
            at,
            control,
            child,
            listens,
        };
        while node.count(What::Items).is_err() {
            ensure!(begin.elapsed() < PATIENCE, "it can't be asked");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(node)
    }

    /// How many it has.
    fn count(&self, what: What) -> Result<usize> {
        let (found, name) = match (self.kind, what) {
            // As Kamailio's: numbers that are kept, not tables that are gone through.
            (Kind::Ours, _) => {
                let name = match what {
                    What::Items => "htable.ht.items",
                    What::Contacts => "location.location.contacts",
                };
                let stats = self.rpc("stats.get", &json!({ "prefix": name }))?;
                (stats.get(name).and_then(Value::as_u64), name)
            }
            (Kind::Kamailio, What::Items) => {
                let text = self.kamcmd(&["htable.stats"])?;
                (after(&text, "all:"), "htable.stats")
            }
            (Kind::Kamailio, What::Contacts) => {
                let text = self.kamcmd(&["stats.get_statistics", "usrloc:"])?;
                (after(&text, "location_contacts ="), "location_contacts")
            }
        };
        let found = found.with_context(|| format!("no {name}"))?;
        Ok(usize::try_from(found)?)
    }

    fn kamcmd(&self, args: &[&str]) -> Result<String> {
        let out = Command::new("kamcmd")
            .arg("-s")
            .arg(format!("unix:{}", self.control.display()))
            .args(args)
            .output()?;
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    fn rpc(&self, method: &str, params: &Value) -> Result<Value> {
        let mut socket = UnixStream::connect(&self.control)?;
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        writeln!(socket, "{call}")?;
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer)?;
        let answer: Value = serde_json::from_str(&answer)?;
        answer
            .get("result")
            .cloned()
            .with_context(|| format!("{method}: {answer}"))
    }

    /// Tells it everything, as a member that joins and leaves.
    fn fill(&self, what: What) -> Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let from = socket.local_addr()?;
        let tell = |channel: &str, n: usize, body: &str| -> Result<()> {
            let to = self.at;
            let branch = format!("fill{n}x{}", from.port());
            let request = format!(
                "KDMQ sip:{channel}@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{branch}\r\nTo: <sip:{channel}@{to}>\r\n\
                 From: <sip:{channel}@{from}>;tag=1\r\nCSeq: 10 KDMQ\r\nCall-ID: {branch}\r\nContent-Length: {}\r\n\
                 Max-Forwards: 1\r\nContent-Type: application/json\r\n\r\n{body}",
                body.len()
            );
            socket.send_to(request.as_bytes(), to)?;
            let mut buffer = vec![0; 65_536];
            loop {
                let length = socket.recv(&mut buffer).context("no answer")?;
                let came = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                if came.starts_with("SIP/2.0 200") && came.contains(&branch) {
                    return Ok(());
                }
                ensure!(
                    !came.starts_with("SIP/2.0 ") || !came.contains(&branch),
                    "{came}"
                );
            }
        };
        let list = |status: &str| format!("sip:{from};status={status}\r\n");
        tell("notification_peer", 0, &list("active"))?;
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let now = unix.as_secs();
        let all: Vec<usize> = (0..COUNT).collect();
        for (at, batch) in all.chunks(BATCH).enumerate() {
            let (channel, body) = match what {
                What::Items => {
                    let cell = |n: &usize| {
                        format!(
                            r#"{{"htname":"ht","cname":"key-{n}","type":2,"strval":"value-{n}","expire":{}}}"#,
                            now + 7000
                        )
                    };
                    let cells: Vec<_> = batch.iter().map(cell).collect();
                    ("htable", format!(r#"{{"cells":[{}]}}"#, cells.join(",")))
                }
                What::Contacts => {
                    let contact = |n: &usize| {
                        format!(
                            r#""{n}":{{"action":1,"aor":"user{n}","ruid":"uloc-9-1-{n}","c":"sip:user{n}@192.0.2.31:5090","received":"","path":"","callid":"call-{n}@192.0.2.31","user_agent":"phone","instance":"","expires":{},"cseq":1,"flags":0,"cflags":0,"q":-1,"last_modified":{now},"methods":4294967295,"reg_id":0,"server_id":0}}"#,
                            now + 7000
                        )
                    };
                    let half = batch.chunks(BATCH / 2);
                    let mut bodies = half.map(|half| {
                        let contacts: Vec<_> = half.iter().map(contact).collect();
                        format!(r#"{{"multi":{{{}}}}}"#, contacts.join(","))
                    });
                    let first = bodies.next().unwrap_or_default();
                    tell("usrloc", 1_000_000 + at, &first)?;
                    ("usrloc", bodies.next().unwrap_or_default())
                }
            };
            tell(channel, at + 1, &body)?;
        }
        tell("notification_peer", COUNT, &list("disabled"))
    }
}

/// The number behind a word.
fn after(text: &str, word: &str) -> Option<u64> {
    let rest = text.split_once(word)?.1.trim_start();
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn ours(
    stable: &Stable,
    dir: &Path,
    at: SocketAddr,
    peer: Option<SocketAddr>,
    control: &Path,
) -> Result<Command> {
    let peers: Vec<_> = peer.iter().map(|peer| format!("\"sip:{peer}\"")).collect();
    let config = dir.join("switchhook.toml");
    let text = format!(
        "[sip]\nlisten = [\"udp:{at}\"]\nlanes = 1\ndomains = [\"example.test\"]\n[admin]\nlisten = \"unix:{}\"\n[log]\nlevel = \"warn\"\n\
         [[script]]\nname = \"default\"\npath = \"{}\"\n\
         grants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"auth\"]\n\
         [script.config]\nauth = false\nrealm = \"example.test\"\n\
         [[htable]]\nname = \"ht\"\nexpire = \"2h\"\nmax-items = 1000000\n\
         [dmq]\naddress = \"sip:{at}\"\npeers = [{}]\nallow = [\"127.0.0.0/8\"]\nhtables = [\"ht\"]\nlocation = \"location\"\n",
        control.display(),
        stable.root.join("target/guests/default.wasm").display(),
        peers.join(", "),
    );
    fs::write(&config, text)?;
    let mut command = Command::new(&stable.daemon);
    command.arg("run").arg(config);
    Ok(command)
}

fn kamailio(
    stable: &Stable,
    dir: &Path,
    at: SocketAddr,
    peer: Option<SocketAddr>,
    control: &Path,
) -> Command {
    let mut command = Command::new("kamailio");
    let notify = peer.unwrap_or(at);
    command
        .arg("-f")
        .arg(stable.root.join("tests/kamailio/dmq.cfg"))
        .args([
            "-DD", "-E", "-x", "fm", "-X", "fm", "-m", "4096", "-M", "64",
        ])
        .args(["-l", &format!("udp:{at}")])
        .args(["-A", &format!("SERVER=\"sip:{at}\"")])
        .args(["-A", &format!("NOTIFY=\"sip:{notify}\"")])
        .args(["-A", &format!("CTL=\"unix:{}\"", control.display())])
        .arg("-Y")
        .arg(dir)
        .arg("-w")
        .arg(dir)
        .arg("-P")
        .arg(dir.join("pid"));
    command
}
