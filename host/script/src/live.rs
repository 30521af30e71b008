//! The effects that act: on the log, the stores and the users of [`Services`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchhook_sip::address::AddressText;
use switchhook_sip::digest::{self, Realm};
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::{EditError, Edits, Message, Uri, View};
use switchhook_sip::{proxy, registrar};
use switchhook_store::{Dialogs, Htable, HtableError, Locations, Value as Stored};

use crate::dmq::DmqNode;
use crate::effects::{Checked, Effects, OwnRoute, SaveResult, Scope};
use crate::erlang::ErlangNode;
use crate::event::{Answer, HeaderField, Target};
use crate::host::text::{endpoint, text};
use crate::refusal::{Refusal, invalid, limit, not_found, unavailable};
use crate::services::Services;
use crate::uac::Uac;
use crate::wit::{Binding, Kind, Level, Routed, Saved, Value, Verdict};

/// See the module's header.
pub struct Live(Arc<Services>);

impl Live {
    /// Effects on these services.
    pub fn new(services: Arc<Services>) -> Self {
        Self(services)
    }

    fn now(&self) -> Instant {
        (self.0.clock)()
    }

    fn table(&self, name: &str) -> Result<&Htable, Refusal> {
        self.0.htables.table(name).ok_or_else(|| {
            not_found(format!("htable: there is no table `{name}`; add [[htable]] name = \"{name}\" to switchhook.toml"))
        })
    }

    fn locations(&self, name: &str) -> Result<&Locations, Refusal> {
        self.0.locations.get(name).ok_or_else(|| {
            not_found(format!(
                "registrar: there is no table `{name}`; add [[location]] name = \"{name}\" to switchhook.toml"
            ))
        })
    }

    /// Everything that is known of a URI's live contacts, preferred first.
    fn contacts<T>(
        &self,
        table: &str,
        uri: &Uri<'_>,
        read: impl Fn(&str, &registrar::Binding, Instant) -> T,
    ) -> Result<Vec<T>, Refusal> {
        let (now, aor) = (self.now(), registrar::canonical(uri));
        let mut found: Vec<(u16, T)> = self.locations(table)?.read(now, &aor, |live| {
            live.map(|binding| (binding.q(), read(&aor, binding, now)))
                .collect()
        });
        found.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
        Ok(found.into_iter().map(|(_, contact)| contact).collect())
    }
}

impl Effects for Live {
    fn log(&self, scope: &Scope<'_>, level: Level, text: &str) {
        let Scope {
            script,
            generation,
            route,
            name,
            call_id,
        } = *scope;
        let call_id = String::from_utf8_lossy(call_id);
        macro_rules! write {
            ($level:ident) => {
                tracing::event!(target: "script", tracing::Level::$level,
                    script, %generation, route, name, %call_id, "{text}")
            };
        }
        match level {
            Level::Error => write!(ERROR),
            Level::Warn => write!(WARN),
            Level::Info => write!(INFO),
            Level::Debug => write!(DEBUG),
            Level::Trace => write!(TRACE),
        }
    }

    fn log_enabled(&self, level: Level) -> bool {
        match level {
            Level::Error => tracing::enabled!(target: "script", tracing::Level::ERROR),
            Level::Warn => tracing::enabled!(target: "script", tracing::Level::WARN),
            Level::Info => tracing::enabled!(target: "script", tracing::Level::INFO),
            Level::Debug => tracing::enabled!(target: "script", tracing::Level::DEBUG),
            Level::Trace => tracing::enabled!(target: "script", tracing::Level::TRACE),
        }
    }

    fn is_myself(&self, uri: &Uri<'_>) -> bool {
        self.0.own.is_own(uri)
    }

    fn refusal(&self, request: &Message) -> Option<Answer> {
        // What cannot be read never comes to a script: the engine refuses it.
        proxy::check_read(request, &self.0.own, &self.0.loop_key)
            .err()
            .map(answer)
    }

    fn loose_route(&self, request: &Message, edits: &mut Edits) -> Result<OwnRoute, EditError> {
        let found = proxy::preprocess(request, edits, &self.0.own)?;
        let routed = match found.routed {
            proxy::Routed::None => Routed::None,
            proxy::Routed::Loose => Routed::Loose,
            proxy::Routed::Strict => Routed::Strict,
            proxy::Routed::Preloaded => Routed::Preloaded,
        };
        Ok(OwnRoute {
            routed,
            params: found.params,
        })
    }

    fn htable_get(&self, table: &str, key: &str) -> Result<Option<Value>, Refusal> {
        Ok(self
            .table(table)?
            .get(self.now(), key)
            .map(|value| match value {
                Stored::Integer(number) => Value::Integer(number),
                Stored::Text(text) => Value::Text(text.into()),
                Stored::Bytes(bytes) => Value::Bytes(bytes.into()),
            }))
    }

    fn htable_set(&self, table: &str, key: &str, value: Value, ttl: u32) -> Result<(), Refusal> {
        let value = match value {
            Value::Integer(number) => Stored::Integer(number),
            Value::Text(text) => Stored::Text(text.into()),
            Value::Bytes(bytes) => Stored::Bytes(bytes.into()),
        };
        let ttl = (ttl > 0).then(|| seconds(ttl));
        self.table(table)?
            .set(self.now(), key, value, ttl)
            .map_err(|error| of_table(&error))
    }

    fn htable_add(&self, table: &str, key: &str, delta: i64) -> Result<i64, Refusal> {
        self.table(table)?
            .add(self.now(), key, delta)
            .map_err(|error| of_table(&error))
    }

    fn htable_expire(&self, table: &str, key: &str, ttl: u32) -> Result<bool, Refusal> {
        Ok(self.table(table)?.expire(self.now(), key, seconds(ttl)))
    }

    fn htable_remove(&self, table: &str, key: &str) -> Result<bool, Refusal> {
        Ok(self.table(table)?.remove(key))
    }

    fn htable_remove_prefix(&self, table: &str, prefix: &str) -> Result<u32, Refusal> {
        Ok(count(self.table(table)?.remove_prefix(prefix)))
    }

    fn htable_size(&self, table: &str) -> Result<u32, Refusal> {
        Ok(count(self.table(table)?.len(self.now())))
    }

    fn save(
        &self,
        table: &str,
        register: View<'_>,
        source: &Source,
        again: bool,
    ) -> Result<SaveResult, Refusal> {
        let locations = self.locations(table)?;
        let refused = |answer| SaveResult {
            saved: Saved::Refused,
            answer,
        };
        let aor = match registrar::address_of_record(register) {
            Ok(aor) => aor,
            Err(refusal) => return Ok(refused(answer(refusal))),
        };
        let now = self.now();
        let saved = locations.update(now, &aor, |current| {
            let outcome = registrar::save(now, register, source, current, &self.0.registrar);
            let outcome = if again { outcome.of_copy() } else { outcome };
            (outcome.bindings, (outcome.saved, outcome.answer))
        });
        // A full table is no fault of the phone's: it may try again later (RFC 3261 21.5.4).
        Ok(match saved {
            Ok((saved, made)) => SaveResult {
                saved: saved_as(saved),
                answer: answer(made),
            },
            Err(_) => refused(Answer {
                status: 503,
                reason: Default::default(),
                headers: vec![HeaderField {
                    name: "Retry-After".into(),
                    value: "60".into(),
                }],
                body: None,
            }),
        })
    }

    fn lookup(&self, table: &str, uri: &Uri<'_>) -> Result<Vec<Target>, Refusal> {
        self.contacts(table, uri, |_, binding, _| target(binding))
    }

    fn bindings(&self, table: &str, uri: &Uri<'_>) -> Result<Vec<Binding>, Refusal> {
        self.contacts(table, uri, binding)
    }

    fn registered(&self, table: &str, uri: &Uri<'_>) -> Result<bool, Refusal> {
        Ok(self
            .locations(table)?
            .registered(self.now(), &registrar::canonical(uri)))
    }

    fn unregister(&self, table: &str, uri: &Uri<'_>) -> Result<u32, Refusal> {
        Ok(count(
            self.locations(table)?
                .remove(self.now(), &registrar::canonical(uri)),
        ))
    }

    fn dialogs(&self) -> (&Dialogs, Instant) {
        (&self.0.dialogs, self.now())
    }

    fn check_credentials(
        &self,
        kind: Kind,
        name: &str,
        request: View<'_>,
        source: &Source,
    ) -> Checked {
        let (realm, users) = (realm(kind, name), &*self.0.users);
        let found = (self.0.authority).check(self.now(), realm, request, source, users);
        let verdict = match found {
            digest::Verdict::Accepted {
                user,
                position,
                again,
            } => {
                return Checked {
                    verdict: Verdict::Accepted(user),
                    position: Some(position),
                    again,
                };
            }
            digest::Verdict::Missing => Verdict::Missing,
            digest::Verdict::Stale => Verdict::Stale,
            digest::Verdict::Rejected => Verdict::Rejected,
            digest::Verdict::Malformed(fault) => Verdict::Malformed(fault.to_string()),
        };
        Checked {
            verdict,
            position: None,
            again: false,
        }
    }

    fn challenge(&self, kind: Kind, name: &str, stale: bool) -> Result<Vec<HeaderField>, Refusal> {
        let fields = self
            .0
            .authority
            .challenge(self.now(), realm(kind, name), stale);
        Ok(fields
            .map(|(name, value)| HeaderField {
                name: name.into(),
                value,
            })
            .collect())
    }

    fn erlang(&self) -> Result<Arc<dyn ErlangNode>, Refusal> {
        self.0.erlang.get().map(Arc::clone).ok_or_else(|| {
            unavailable("erlang: this host is no Erlang node; add [erlang] to switchhook.toml")
        })
    }

    fn uac(&self) -> Result<Arc<dyn Uac>, Refusal> {
        let uac = self.0.uac.get().map(Arc::clone);
        uac.ok_or_else(|| unavailable("uac: this host has not begun to send"))
    }

    fn dmq(&self) -> Result<Arc<dyn DmqNode>, Refusal> {
        self.0.dmq.get().map(Arc::clone).ok_or_else(|| {
            unavailable("dmq: this host is on no DMQ bus; add [dmq] to switchhook.toml")
        })
    }
}

/// A stored contact as scripts see it.
pub fn binding(aor: &str, binding: &registrar::Binding, now: Instant) -> Binding {
    let received = binding.received();
    Binding {
        aor: aor.into(),
        uri: text(binding.uri()),
        q: binding.q(),
        expires: binding.remaining(now),
        call_id: text(binding.call_id()),
        cseq: binding.cseq(),
        user_agent: text(binding.user_agent()),
        instance: text(binding.instance()),
        path: binding.path().map(text).collect(),
        received: endpoint(received.transport, received.remote),
    }
}

/// Where to send to reach a contact.
fn target(binding: &registrar::Binding) -> Target {
    let received = binding.received();
    let path: Vec<String> = binding.path().map(text).collect();
    let uri = Uri::parse(binding.uri()).ok();
    // RFC 5626 5.3: an outbound contact is reached by its flow alone. So is a browser, which no address leads to.
    let outbound =
        binding.reg_id() > 0 || matches!(received.transport, Transport::Ws | Transport::Wss);
    // One that registered at another server has no flow here: its address is all there is.
    let by_flow = path.is_empty() && outbound && received.flow != FlowId::NONE;
    // A private address in the contact is no use behind a NAT: send to where the REGISTER came from.
    let behind_nat = path.is_empty()
        && uri
            .and_then(|uri| uri.ip())
            .is_some_and(|ip| ip != received.remote.ip());
    Target {
        uri: text(binding.uri()),
        next_hop: (by_flow || behind_nat).then(|| hop(received.transport, received.remote)),
        path,
        q: binding.q(),
        flow: by_flow.then_some(received.flow),
    }
}

fn hop(transport: Transport, address: SocketAddr) -> String {
    let address = AddressText::socket(address);
    let transport = transport.uri_param();
    ["sip:", address.as_str(), ";transport=", transport].concat()
}

fn answer(answer: switchhook_sip::answer::Answer) -> Answer {
    let fields = answer.headers.into_iter();
    Answer {
        status: answer.status,
        reason: answer.reason,
        headers: fields
            .map(|(name, value)| HeaderField {
                name: name.into(),
                value,
            })
            .collect(),
        body: None,
    }
}

fn saved_as(saved: registrar::Saved) -> Saved {
    match saved {
        registrar::Saved::Updated => Saved::Updated,
        registrar::Saved::Removed => Saved::Removed,
        registrar::Saved::Queried => Saved::Queried,
        registrar::Saved::Refused => Saved::Refused,
    }
}

fn realm(kind: Kind, name: &str) -> Realm<'_> {
    match kind {
        Kind::Www => Realm::www(name),
        Kind::Proxy => Realm::proxy(name),
    }
}

fn of_table(error: &HtableError) -> Refusal {
    let message = format!("htable: {error}");
    match error {
        HtableError::Full { .. } => limit(message),
        _ => invalid(message),
    }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
