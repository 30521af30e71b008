//! The current request: what a route reads of it, changes in it and decides about it.

use crate::error::{End, Error, Outcome, Result};
use crate::host::types::{self, Body, Edit, Endpoint, Header};
use crate::host::{dialog, registrar, request, rr, tm, transport};
use crate::message::{Message, OfRequest, body, field, message_functions};
use crate::method::Method;
use crate::nameaddr::NameAddr;
use crate::registrar::Saved;
use crate::reply::Answer;
use crate::routes::{BranchRoute, FailureRoute, OnReplyRoute};
use crate::uri::Uri;

pub use request::Problem;
pub use rr::Routed;
pub use tm::{Order, Target};

/// The current request. In request and failure routes it is the one that came from upstream, in a branch route the branch's own copy,
/// in onreply routes the one that the reply answers.
///
/// Reading costs one host call however much is read. Edits are collected and go to the host together, before the next call that
/// acts on the request or when the route ends. What is decided ([`relay`](Request::relay), [`reply`](Request::reply), ...) is
/// carried out in order when the route has returned.
pub struct Request {
    pub(crate) message: Message<OfRequest>,
}

message_functions!(Request);

impl Request {
    pub(crate) fn current() -> Request {
        Request {
            message: Message::new(),
        }
    }

    /// The method; `$rm`.
    pub fn method(&self) -> Method<'_> {
        self.message.method()
    }

    /// The request URI; `$ru`.
    pub fn uri(&self) -> Uri<'_> {
        self.message.uri()
    }

    /// Replaces the request URI.
    pub fn set_uri(&mut self, uri: impl AsRef<str>) {
        self.message.edit(Edit::SetUri(uri.as_ref().to_owned()));
    }

    /// Whether it belongs to a dialog: its To has a tag; `has_totag()`.
    pub fn in_dialog(&self) -> bool {
        self.message
            .in_dialog()
            .unwrap_or_else(|| self.to().tag().is_some())
    }

    /// Whether the request URI's host and port are ours; `uri == myself`.
    pub fn is_for_us(&self) -> bool {
        self.message.is_for_us().unwrap_or_else(|| {
            self.message.send();
            request::is_for_us()
        })
    }

    /// What a proxy must refuse it for, as it came: syntax of what a proxy reads, URI scheme, Max-Forwards, loops, Proxy-Require
    /// (RFC 3261 section 16.3); `sanity_check` and `mf_process_maxfwd_header` in one.
    pub fn check(&self) -> Option<Problem> {
        self.message.problem().cloned()
    }

    /// Answers with what [`check`](Request::check) found.
    pub fn refuse(&mut self, problem: &Problem) -> Outcome {
        self.send_answer(problem.status, &problem.reason, &problem.headers, None)
    }

    /// Answers; `sl_send_reply`, `t_reply`. 101 to 199 may be followed by others, anything above ends the transaction. An empty
    /// reason means the standard phrase.
    pub fn reply(&mut self, status: u16, reason: &str) -> Outcome {
        self.send_answer(status, reason, &[], None)
    }

    /// Answers with header fields and a body: `req.answer(302, "").header("Contact", "<sip:bob@example.test>").send()`.
    pub fn answer<'a>(&'a mut self, status: u16, reason: &'a str) -> Answer<'a> {
        Answer::new(self, status, reason)
    }

    pub(crate) fn send_answer(
        &mut self,
        status: u16,
        reason: &str,
        headers: &[Header],
        body: Option<&Body>,
    ) -> Outcome {
        self.message.flush()?;
        done(tm::reply(status, reason, headers, body))
    }

    /// Sends it to its targets in parallel: those of [`lookup`](Request::lookup) and [`add_target`](Request::add_target), else
    /// the next hop, the first Route, the request URI; `t_relay`. In a failure route to the targets added there, else to the changed
    /// request URI.
    pub fn relay(&mut self) -> Outcome {
        self.message.flush()?;
        done(tm::relay())
    }

    /// The same with targets and their order given. None at all is refused as `invalid`.
    pub fn fork(&mut self, targets: &[Target], order: Order) -> Outcome {
        self.message.flush()?;
        done(tm::fork(targets, order))
    }

    /// Sends it on without a transaction, to one place (RFC 3261 section 16.11); `forward`. What an ACK of a 2xx needs.
    pub fn forward(&mut self) -> Outcome {
        self.message.flush()?;
        done(tm::forward())
    }

    /// Sends a copy, as this route leaves the request, to each of these servers, and keeps their answers from the caller; `t_replicate`. Each
    /// URI says only where to send: the request URI stays. Not for INVITE, ACK and CANCEL.
    ///
    /// ```
    /// use switchhook_sdk::prelude::*;
    ///
    /// #[switchhook_sdk::script]
    /// mod routes {
    ///     #[request_route]
    ///     fn main(req: &mut Request) -> Outcome {
    ///         req.save("location")?;
    ///         req.replicate(["sip:192.0.2.2:5060"])?;
    ///         Ok(Done)
    ///     }
    /// }
    ///
    /// # fn main() {
    /// use switchhook_sdk::testkit::{Site, request};
    /// let site = Site::new(routes::Script, "{}");
    /// let call = site.receive(request("REGISTER", "sip:example.test").to("sip:alice@example.test"));
    /// assert_eq!(call.status(), Some(200));
    /// assert_eq!(call.copies()[0].next_hop(), Some("sip:192.0.2.2:5060"));
    /// # }
    /// ```
    pub fn replicate<U: AsRef<str>>(&mut self, to: impl IntoIterator<Item = U>) -> Result<()> {
        self.message.flush()?;
        let to: Vec<String> = to.into_iter().map(|uri| uri.as_ref().to_owned()).collect();
        tm::replicate(&to).map_err(Error::host)
    }

    /// Adds a target for the next [`relay`](Request::relay); `append_branch`.
    pub fn add_target(&mut self, target: impl Into<Target>) -> Result<()> {
        tm::add_target(&target.into()).map_err(Error::host)
    }

    /// The targets added so far.
    pub fn targets(&self) -> Vec<Target> {
        tm::targets()
    }

    /// Takes all added targets back.
    pub fn clear_targets(&mut self) {
        tm::clear_targets();
    }

    /// Runs this failure route when no branch succeeded; `t_on_failure`.
    ///
    /// `#[failure_route("MANAGE_FAILURE")] fn manage_failure` makes the constant `MANAGE_FAILURE`.
    pub fn on_failure(&mut self, route: FailureRoute) -> Result<()> {
        tm::on_failure(route.name()).map_err(Error::host)
    }

    /// Runs this onreply route for each reply of a branch; `t_on_reply`.
    pub fn on_reply(&mut self, route: OnReplyRoute) -> Result<()> {
        tm::on_reply(route.name()).map_err(Error::host)
    }

    /// Runs this branch route for each branch before it is sent; `t_on_branch`.
    pub fn on_branch(&mut self, route: BranchRoute) -> Result<()> {
        tm::on_branch(route.name()).map_err(Error::host)
    }

    /// How long the transaction waits for any reply and then, for INVITE, for a final one, in milliseconds; 0 leaves the config's
    /// value; `t_set_fr`.
    pub fn set_timeouts(&mut self, any_reply: u32, final_reply: u32) -> Result<()> {
        tm::set_timeouts(any_reply, final_reply).map_err(Error::host)
    }

    /// Cancels the branches that have no final reply; `t_cancel_branches`.
    pub fn cancel(&mut self) -> Result<()> {
        tm::cancel().map_err(Error::host)
    }

    /// Whether the caller has cancelled; `t_is_canceled`.
    pub fn is_canceled(&self) -> bool {
        tm::is_canceled()
    }

    /// The best status among the transaction's replies so far; what `t_check_status` compares with.
    pub fn best_status(&self) -> Option<u16> {
        tm::status()
    }

    /// In a branch route: the number of the branch, from 0.
    pub fn branch(&self) -> Option<u32> {
        tm::branch()
    }

    /// Stays on the path of the dialog; `record_route`.
    pub fn record_route(&mut self) -> Result<()> {
        self.record_route_with("")
    }

    /// The same with parameters for our URI, such as `ftag=abc;x`; `record_route_with_params`-like: read them in the dialog's later
    /// requests with [`route_param`](Request::route_param).
    pub fn record_route_with(&mut self, params: &str) -> Result<()> {
        self.message.flush()?;
        rr::record_route(params).map_err(Error::host)?;
        self.message.touched("Record-Route");
        Ok(())
    }

    /// Tracks the dialog that this INVITE begins; `dlg_manage`. See [`dialog`](mod@crate::dialog).
    pub fn manage_dialog(&mut self) -> Result<()> {
        self.message.flush()?;
        dialog::manage().map_err(Error::host)
    }

    /// Takes our own Route values off and repairs what strict routers do; `loose_route`.
    pub fn loose_route(&mut self) -> Result<Routed> {
        self.message.flush()?;
        let routed = rr::loose_route().map_err(Error::host)?;
        if routed != Routed::None {
            self.message.touched("Route");
            self.message.touched_start_line();
        }
        Ok(routed)
    }

    /// After [`loose_route`](Request::loose_route): a parameter of our own Route URI, empty for one without value.
    pub fn route_param(&self, name: &str) -> Option<String> {
        rr::param(name)
    }

    /// Carries a REGISTER out in a table and answers it; `save("location")`.
    pub fn save(&mut self, table: &str) -> Result<Saved> {
        self.message.flush()?;
        registrar::save(table).map_err(Error::host)
    }

    /// The same for a REGISTER that another server passed on: the phone is at `received`, not where the request came from.
    pub fn save_received(&mut self, table: &str, received: Endpoint) -> Result<Saved> {
        self.message.flush()?;
        registrar::save_received(table, received).map_err(Error::host)
    }

    /// Adds the contacts of the request URI as targets, preferred first; tells how many; `lookup("location")`.
    pub fn lookup(&mut self, table: &str) -> Result<u32> {
        registrar::lookup(table, self.uri().as_str()).map_err(Error::host)
    }

    /// The same for another URI.
    pub fn lookup_uri(&mut self, table: &str, uri: impl AsRef<str>) -> Result<u32> {
        registrar::lookup(table, uri.as_ref()).map_err(Error::host)
    }

    /// Sends the request there without changing its URI; `$du`.
    pub fn set_next_hop(&mut self, uri: impl AsRef<str>) -> Result<()> {
        transport::set_next_hop(Some(uri.as_ref())).map_err(Error::host)
    }

    /// Takes the next hop back.
    pub fn clear_next_hop(&mut self) -> Result<()> {
        transport::set_next_hop(None).map_err(Error::host)
    }

    /// The next hop where one is set; `$du`.
    pub fn next_hop(&self) -> Option<String> {
        transport::next_hop()
    }

    /// In an onsend route: where the request is about to go.
    pub fn destination(&self) -> Option<Endpoint> {
        transport::destination()
    }

    /// Answers to the port that the request came from even where its Via asks for no rport (RFC 3581); `force_rport`.
    pub fn force_rport(&mut self) {
        transport::force_rport();
    }

    pub(crate) fn credentials_consumed(&mut self) {
        self.message.touched("Authorization");
        self.message.touched("Proxy-Authorization");
    }
}

/// Whether a URI's host and port are ours: a listening address or a domain of the config; `uri == myself`.
pub fn is_myself(uri: Uri<'_>) -> bool {
    transport::is_myself(uri.as_str())
}

impl From<Uri<'_>> for Target {
    /// A target of that request URI and nothing else.
    fn from(uri: Uri<'_>) -> Target {
        Target::from(uri.as_str())
    }
}

impl From<&str> for Target {
    /// A target of that request URI and nothing else.
    fn from(uri: &str) -> Target {
        Target {
            uri: uri.to_owned(),
            next_hop: None,
            path: Vec::new(),
            q: 1000,
            connection: None,
        }
    }
}

fn done(decided: Result<(), types::Error>) -> Outcome {
    match decided {
        Ok(()) => Ok(End::Done),
        Err(error) => Err(Error::host(error)),
    }
}
