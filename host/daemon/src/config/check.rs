//! What types can't say about a config: names given twice, numbers out of range, values that contradict each other.
//!
//! Touches no file and no socket. Every finding is kept, so that a person mends them in one go.

use super::Config;
use super::document::Document;
use super::problem::Problem;
use super::units::{Duration, Size};
use std::time::Duration as Time;

/// What is wrong with a config, in the order of the file's sections.
pub(super) fn check(config: &Config, document: &Document) -> Vec<Problem> {
    let mut check = Check {
        document,
        found: Vec::new(),
    };
    check.sip(config);
    check.scripts(config);
    check.tables(config);
    check.dmq(config);
    check.services(config);
    check.erlang(config);
    check.found
}

struct Check<'a> {
    document: &'a Document,
    found: Vec<Problem>,
}

impl Check<'_> {
    fn wrong(&mut self, path: &[&str], title: impl Into<String>, label: impl Into<String>) {
        let place = self.document.place(path);
        self.found.push(Problem::new(title).maybe_at(place, label));
    }

    fn sip(&mut self, config: &Config) {
        let sip = &config.sip;
        if sip.listen.is_empty() {
            self.wrong(
                &["sip", "listen"],
                "nowhere to listen",
                "expected an address such as \"udp:127.0.0.1:5060\"",
            );
        }
        for (index, listen) in sip.listen.iter().enumerate() {
            let earlier = sip.listen.iter().take(index).position(|other| {
                (other.0.transport, other.0.address) == (listen.0.transport, listen.0.address)
                    && listen.0.address.port() != 0
            });
            if let Some(earlier) = earlier {
                self.twice(
                    &format!("the listen address {listen}"),
                    &["sip", "listen"],
                    index,
                    earlier,
                    &[],
                );
            }
        }
        if let Some(lanes) = sip.lanes.filter(|lanes| !(1..=256).contains(lanes)) {
            self.wrong(
                &["sip", "lanes"],
                "number of lanes out of range",
                format!("expected 1 to 256, found {lanes}"),
            );
        }
        for (index, domain) in sip.domains.iter().enumerate() {
            if domain.is_empty()
                || !domain
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b))
            {
                let label =
                    format!("expected a host name such as \"example.test\", found \"{domain}\"");
                self.wrong(
                    &["sip", "domains", &index.to_string()],
                    "this is not a domain",
                    label,
                );
            }
        }
        if sip.server.bytes().any(|b| b.is_ascii_control()) {
            self.wrong(
                &["sip", "server"],
                "a header can't hold this",
                "expected a text without control characters",
            );
        }
        self.positive(&["sip", "max-transactions"], sip.max_transactions.into());
        self.positive(&["sip", "max-own-requests"], sip.max_own_requests.into());
        self.positive(&["sip", "max-branches"], sip.max_branches.into());
        self.size(
            &["sip", "max-message"],
            sip.max_message,
            Size::kib(1),
            Size::mib(1),
        );
        let timers = &sip.timers;
        let times = [
            ("t1", Some(timers.t1)),
            ("t2", Some(timers.t2)),
            ("t4", Some(timers.t4)),
            ("b", timers.b),
            ("f", timers.f),
            ("c", Some(timers.c)),
        ];
        for (name, time) in times {
            if let Some(time) = time {
                self.time(
                    &["sip", "timers", name],
                    time,
                    Duration::millis(1),
                    Duration::secs(3600),
                );
            }
        }
        if timers.t2 < timers.t1 {
            let label = format!(
                "expected at least t1, which is {}, found {}",
                timers.t1, timers.t2
            );
            self.wrong(&["sip", "timers", "t2"], "t2 is shorter than t1", label);
        }
        let tcp = &sip.tcp;
        self.positive(
            &["sip", "tcp", "max-connections"],
            tcp.max_connections.into(),
        );
        self.positive(
            &["sip", "tcp", "max-connections-per-address"],
            tcp.max_connections_per_address.into(),
        );
        self.positive(&["sip", "tcp", "receive-queue"], tcp.receive_queue.into());
        self.positive(&["sip", "udp", "queue"], sip.udp.queue.into());
        self.size(
            &["sip", "tcp", "send-queue"],
            tcp.send_queue,
            sip.max_message,
            Size::mib(1024),
        );
        self.size(
            &["sip", "udp", "buffer"],
            sip.udp.buffer,
            Size(0),
            Size::mib(1024),
        );
        for (name, time) in [
            ("connect-timeout", tcp.connect_timeout),
            ("first-message-timeout", tcp.first_message_timeout),
            ("message-timeout", tcp.message_timeout),
            ("idle-timeout", tcp.idle_timeout),
            ("send-timeout", tcp.send_timeout),
        ] {
            self.time(
                &["sip", "tcp", name],
                time,
                Duration::millis(10),
                Duration::secs(86_400),
            );
        }
        self.time(
            &["dns", "timeout"],
            config.dns.timeout,
            Duration::millis(10),
            Duration::secs(60),
        );
        self.positive(&["dns", "attempts"], config.dns.attempts.into());
    }

    fn scripts(&mut self, config: &Config) {
        if config.script.is_empty() {
            self.wrong(
                &["script"],
                "no script",
                "expected a [[script]] that routes, with `name` and `path`",
            );
        }
        for (index, script) in config.script.iter().enumerate() {
            let at = index.to_string();
            self.name(&["script", &at, "name"], &script.name);
            if let Some(earlier) = config
                .script
                .iter()
                .take(index)
                .position(|other| other.name == script.name)
            {
                self.twice(
                    &format!("the script name `{}`", script.name),
                    &["script"],
                    index,
                    earlier,
                    &["name"],
                );
            }
            let limits = &script.limits;
            let limit = |name| ["script", &at, "limits", name];
            self.time(
                &limit("deadline"),
                limits.deadline,
                Duration::millis(1),
                Duration::secs(60),
            );
            self.size(
                &limit("memory"),
                limits.memory,
                Size::kib(64),
                Size::mib(4096),
            );
            self.size(&limit("stack"), limits.stack, Size::kib(32), Size::mib(16));
            self.size(
                &limit("bytes"),
                limits.bytes,
                Size::kib(64),
                Size::mib(1024),
            );
            self.positive(&limit("instances"), limits.instances.into());
            self.positive(&limit("host-calls"), limits.host_calls.into());
            let status = script.error_reply.status;
            if !(400..=699).contains(&status) {
                let label = format!(
                    "expected a final status that is no success, 400 to 699, found {status}"
                );
                self.wrong(
                    &["script", &at, "error-reply", "status"],
                    "this status is no error",
                    label,
                );
            }
            if script
                .error_reply
                .reason
                .bytes()
                .any(|b| b.is_ascii_control())
            {
                let label = "expected a text without control characters";
                self.wrong(
                    &["script", &at, "error-reply", "reason"],
                    "a reply can't hold this",
                    label,
                );
            }
        }
    }

    fn tables(&mut self, config: &Config) {
        let names: Vec<_> = config
            .htable
            .iter()
            .map(|table| table.name.as_str())
            .collect();
        self.names("htable", &names);
        for (index, table) in config.htable.iter().enumerate() {
            let at = index.to_string();
            self.size(
                &["htable", &at, "max-bytes"],
                table.max_bytes,
                Size::kib(1),
                Size::mib(65_536),
            );
            self.positive(&["htable", &at, "max-items"], table.max_items.into());
            if table.initial.len() > table.max_items as usize {
                let label = format!(
                    "expected at most max-items, {}, found {} items",
                    table.max_items,
                    table.initial.len()
                );
                self.wrong(
                    &["htable", &at, "initial"],
                    "more items than the table takes",
                    label,
                );
            }
        }
        let names: Vec<_> = config
            .location
            .iter()
            .map(|table| table.name.as_str())
            .collect();
        self.names("location", &names);
        for (index, table) in config.location.iter().enumerate() {
            self.positive(
                &["location", &index.to_string(), "max-contacts"],
                table.max_contacts.into(),
            );
        }
        let dialog = &config.dialog;
        self.positive(&["dialog", "max"], dialog.max.into());
        for (name, time) in [("lifetime", dialog.lifetime), ("ringing", dialog.ringing)] {
            let month = Duration::secs(30 * 86_400);
            self.time(&["dialog", name], time, Duration::secs(1), month);
        }
        if !dialog.entries.is_power_of_two() || dialog.entries > 1 << 20 {
            self.wrong(
                &["dialog", "entries"],
                "names of dialogs can't be spread over that many entries",
                format!(
                    "expected a power of two up to 1048576, found {}",
                    dialog.entries
                ),
            );
        }
        let registrar = &config.registrar;
        self.time(
            &["registrar", "max-expires"],
            registrar.max_expires,
            Duration::secs(1),
            Duration::secs(u32::MAX.into()),
        );
        if registrar.min_expires > registrar.max_expires {
            let label = format!(
                "expected at most max-expires, which is {}, found {}",
                registrar.max_expires, registrar.min_expires
            );
            self.wrong(
                &["registrar", "min-expires"],
                "min-expires is longer than max-expires",
                label,
            );
        } else if !(registrar.min_expires..=registrar.max_expires)
            .contains(&registrar.default_expires)
        {
            let (min, max) = (registrar.min_expires, registrar.max_expires);
            let label = format!(
                "expected {min} (min-expires) to {max} (max-expires), found {}",
                registrar.default_expires
            );
            self.wrong(
                &["registrar", "default-expires"],
                "default-expires is not what the registrar grants",
                label,
            );
        }
        self.positive(
            &["registrar", "max-contacts"],
            registrar.max_contacts.into(),
        );
    }

    fn dmq(&mut self, config: &Config) {
        let Some(dmq) = &config.dmq else {
            return;
        };
        for (index, name) in dmq.htables.iter().enumerate() {
            if !config.htable.iter().any(|table| table.name == *name) {
                let label = format!("expected the name of an [[htable]], found \"{name}\"");
                self.wrong(
                    &["dmq", "htables", &index.to_string()],
                    "there is no such table",
                    label,
                );
            }
        }
        if let Some(name) = &dmq.location
            && !config.location.iter().any(|table| table.name == *name)
        {
            let label = format!("expected the name of a [[location]], found \"{name}\"");
            self.wrong(&["dmq", "location"], "there is no such table", label);
        }
        if dmq.only_signed && dmq.key_files.is_empty() {
            let label = "expected dmq.key-files beside it";
            self.wrong(&["dmq", "only-signed"], "nobody can sign", label);
        }
        for (name, time) in [("ping", dmq.ping), ("timeout", dmq.timeout)] {
            self.time(
                &["dmq", name],
                time,
                Duration::millis(100),
                Duration::secs(3600),
            );
        }
    }

    fn erlang(&mut self, config: &Config) {
        let Some(erlang) = &config.erlang else {
            return;
        };
        match (&erlang.cookie, &erlang.cookie_file) {
            (None, None) => self.wrong(
                &["erlang", "name"],
                "the Erlang node has no cookie",
                "expected `cookie-file` or `cookie` beside it",
            ),
            (Some(_), Some(_)) => self.wrong(
                &["erlang", "cookie"],
                "the Erlang node has two cookies",
                "expected either `cookie-file` or `cookie`",
            ),
            (Some(cookie), None) if switchhook_erlang::Cookie::new(cookie).is_err() => self.wrong(
                &["erlang", "cookie"],
                "this is no cookie",
                "expected 1 to 255 printable characters",
            ),
            _ => {}
        }
        let own: Vec<_> = [&erlang.name]
            .into_iter()
            .chain(&erlang.more_names)
            .collect();
        for (index, node) in erlang.nodes.iter().enumerate() {
            let at = index.to_string();
            if own.contains(&node) {
                self.wrong(
                    &["erlang", "nodes", &at],
                    "the Erlang node can't connect to itself",
                    "expected another node's name",
                );
            }
            let earlier = erlang
                .nodes
                .iter()
                .take(index)
                .position(|other| other == node);
            if let Some(earlier) = earlier {
                self.twice(
                    &format!("the node {node}"),
                    &["erlang", "nodes"],
                    index,
                    earlier,
                    &[],
                );
            }
            let addressed = erlang
                .peer
                .iter()
                .any(|peer| peer.name == *node && peer.address.is_some());
            if erlang.epmd == super::Epmd::Off && !addressed {
                self.wrong(
                    &["erlang", "nodes", &at],
                    "nothing tells where this node is",
                    "expected an `[[erlang.peer]]` with its `address`, because `epmd` is off",
                );
            }
        }
        for (key, time, most) in [
            ("tick-time", erlang.tick_time, Duration::secs(86_400)),
            (
                "connect-timeout",
                erlang.connect_timeout,
                Duration::secs(60),
            ),
            ("rpc-timeout", erlang.rpc_timeout, Duration::secs(3600)),
            ("max-retry", erlang.max_retry, Duration::secs(3600)),
        ] {
            self.time(&["erlang", key], time, Duration::millis(100), most);
        }
        self.positive(
            &["erlang", "max-connections"],
            erlang.max_connections.into(),
        );
        for (key, size) in [
            ("max-message", erlang.max_message),
            ("send-queue", erlang.send_queue),
        ] {
            self.size(&["erlang", key], size, Size::kib(64), Size::mib(1024));
        }
    }

    fn services(&mut self, config: &Config) {
        let auth = &config.auth;
        self.time(
            &["auth", "nonce-lifetime"],
            auth.nonce_lifetime,
            Duration::secs(1),
            Duration::secs(86_400),
        );
        if auth.algorithms.is_empty() {
            self.wrong(
                &["auth", "algorithms"],
                "nothing to authenticate with",
                "expected \"SHA-256\", \"MD5\" or both",
            );
        }
        self.positive(
            &["admin", "max-connections"],
            config.admin.max_connections.into(),
        );
        // sun_path of unix(7).
        let socket = config
            .admin_socket()
            .filter(|path| path.as_os_str().len() > 107);
        if let Some(path) = socket {
            let label = format!(
                "expected at most 107 bytes, found {}: {}",
                path.as_os_str().len(),
                path.display()
            );
            self.wrong(&["admin", "listen"], "the socket's path is too long", label);
        }
        if let Err(error) = crate::log::filter(&config.log.level) {
            let label = format!(
                "expected error, warn, info, debug or trace, alone or as in \"info,switchhook_net=debug\": {error}"
            );
            self.wrong(&["log", "level"], "this is not a log level", label);
        }
    }

    fn names(&mut self, list: &str, names: &[&str]) {
        for (index, name) in names.iter().enumerate() {
            self.name(&[list, &index.to_string(), "name"], name);
            if let Some(earlier) = names.iter().take(index).position(|other| other == name) {
                self.twice(
                    &format!("the {list} name `{name}`"),
                    &[list],
                    index,
                    earlier,
                    &["name"],
                );
            }
        }
    }

    /// A name must stand in a dotted key and in a log line as it is.
    fn name(&mut self, path: &[&str], name: &str) {
        if name.is_empty()
            || name.len() > 64
            || !name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            let label = format!("expected 1 to 64 letters, digits, `-` and `_`, found \"{name}\"");
            self.wrong(path, "this name can't be used", label);
        }
    }

    fn twice(&mut self, what: &str, list: &[&str], index: usize, earlier: usize, rest: &[&str]) {
        let place = |index: usize| {
            let index = index.to_string();
            let path: Vec<_> = list
                .iter()
                .copied()
                .chain([index.as_str()])
                .chain(rest.iter().copied())
                .collect();
            self.document.place(&path)
        };
        let problem = Problem::new(format!("{what} is given twice"))
            .maybe_at(place(index), "the second time")
            .also(place(earlier), "the first time");
        self.found.push(problem);
    }

    fn positive(&mut self, path: &[&str], number: u64) {
        if number == 0 {
            self.wrong(
                path,
                "a limit of 0 lets nothing through",
                "expected at least 1",
            );
        }
    }

    fn time(&mut self, path: &[&str], time: Duration, min: Duration, max: Duration) {
        if !(min..=max).contains(&time) {
            let max = if max.0 > Time::from_secs(86_400 * 366) {
                "136 years".to_owned()
            } else {
                max.to_string()
            };
            self.wrong(
                path,
                "duration out of range",
                format!("expected {min} to {max}, found {time}"),
            );
        }
    }

    fn size(&mut self, path: &[&str], size: Size, min: Size, max: Size) {
        if !(min..=max).contains(&size) {
            self.wrong(
                path,
                "size out of range",
                format!("expected {min} to {max}, found {size}"),
            );
        }
    }
}
