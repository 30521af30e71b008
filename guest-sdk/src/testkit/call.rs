//! One request on its way: what the script did with it, and what comes back.

use std::fmt;
use std::mem;

use switchhook_sip::dialog::Id;
use switchhook_sip::message::{HeaderId, Message, reason_phrase, response};
use switchhook_store::Vars;

use super::dialogs::Tracked;
use super::message::{Draft, apply, parse, text};
use super::site::{Loaded, Site};
use super::world::{Arms, Decision, Event};
use crate::host::auth::{Kind, Verdict};
use crate::host::tm::{Order, Target};
use crate::host::types::{Body, Edit, Endpoint, Header, Outcome};
use crate::routes::Family;

/// A request that a [`Site`] received: what the script decided, the branches it sent and the answers it gave. Replies to the
/// branches run the script's reply, onreply and failure routes.
pub struct Call {
    site: Site,
    request: Message,
    source: Endpoint,
    credentials: Verdict,
    vars: Vars,
    arms: Arms,
    canceled: bool,
    /// Later groups of a serial fork.
    waiting: Vec<Vec<Target>>,
    sent: Vec<Branch>,
    /// Where in `sent` the last relay's branches begin.
    round: usize,
    forwarded: Option<Branch>,
    copies: Vec<Branch>,
    answers: Vec<Answer>,
    error: Option<String>,
    dropped: bool,
    /// The dialog that it begins, where the script tracks it.
    dialog: Option<Id>,
    /// Where in the site's log this call's lines begin.
    log: usize,
}

/// A request that was sent on.
#[derive(Clone)]
pub struct Branch {
    message: Message,
    next_hop: Option<String>,
    status: Option<u16>,
    timed_out: bool,
}

/// An answer that the caller got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    reason: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Call {
    pub(super) fn new(site: Site, draft: Draft) -> Call {
        let log = site.world.borrow().log.len();
        let mut call = Call {
            site,
            request: parse(&draft.text),
            source: draft.source,
            credentials: draft.credentials,
            vars: Vars::default(),
            arms: Arms::default(),
            canceled: false,
            waiting: Vec::new(),
            sent: Vec::new(),
            round: 0,
            forwarded: None,
            copies: Vec::new(),
            answers: Vec::new(),
            error: None,
            dropped: false,
            dialog: None,
            log,
        };
        let event = call.event(Family::RequestRoute, call.request.clone());
        let (event, outcome) = call.run(event, |script| (script.on_request)());
        let went = outcome == Ok(Outcome::Done) && !event.decided.is_empty();
        let dialog = event.dialog;
        call.carry_out(event, outcome, None);
        if let Some(Tracked::Within(id, side)) = dialog.filter(|_| went) {
            call.site.dialog_requested(id, side, &call.request);
        }
        call
    }

    /// The request URIs of the last relay or fork: what was sent to in it, in order.
    pub fn relayed_to(&self) -> Vec<String> {
        let round = self.sent.iter().skip(self.round);
        round.map(Branch::uri).collect()
    }

    /// The request URI that it was forwarded to without a transaction.
    pub fn forwarded_to(&self) -> Option<String> {
        self.forwarded.as_ref().map(Branch::uri)
    }

    /// Every branch that was sent, in order.
    pub fn sent(&self) -> &[Branch] {
        &self.sent
    }

    /// What was forwarded without a transaction.
    pub fn forwarded(&self) -> Option<&Branch> {
        self.forwarded.as_ref()
    }

    /// The copies that were sent to other servers, in order.
    pub fn copies(&self) -> &[Branch] {
        &self.copies
    }

    /// The final status that the caller got; none yet, or none ever.
    pub fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.status)
    }

    /// The final answer that the caller got.
    pub fn answer(&self) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.status >= 200)
    }

    /// Every answer that the caller got, provisional ones too.
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// Whether the script dropped it: nobody is told anything.
    pub fn dropped(&self) -> bool {
        self.dropped
    }

    /// The error text of the last route that failed.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The failure route that is armed; empty where none is.
    pub fn failure_route(&self) -> &str {
        &self.arms.failure
    }

    /// The timeouts that the script set: for any reply, and for a final one, in milliseconds.
    pub fn timeouts(&self) -> (u32, u32) {
        self.arms.timeouts
    }

    /// What the script logged since this request came, as `info: ...`.
    pub fn log(&self) -> Vec<String> {
        self.site.log().split_off(self.log)
    }

    /// Every open branch of the last relay answers so. Runs the reply and onreply routes, and the failure route when it is the end.
    pub fn replies(&mut self, status: u16) -> &mut Call {
        for branch in self.round..self.sent.len() {
            if self.sent[branch].is_open() {
                self.take_reply(branch, status, false, &[]);
            }
        }
        self.settle();
        self
    }

    /// One branch of the last relay answers so, counted from 0.
    pub fn branch_replies(&mut self, branch: usize, status: u16) -> &mut Call {
        self.branch_replies_with(branch, status, &[])
    }

    /// The same with header fields in the reply.
    pub fn branch_replies_with(
        &mut self,
        branch: usize,
        status: u16,
        headers: &[(&str, &str)],
    ) -> &mut Call {
        let at = self.round + branch;
        assert!(
            self.sent.get(at).is_some_and(Branch::is_open),
            "branch {branch} is not open: {self:?}"
        );
        self.take_reply(at, status, false, headers);
        self.settle();
        self
    }

    /// A request of the caller's within the dialog that this one began, to be [received](Site::receive): with our Route on top.
    pub fn within(&self, method: &str) -> Draft {
        let value = |id| self.request.header(id).map(text).unwrap_or_default();
        super::message::request(method, &text(self.request.request_uri()))
            .header("From", &value(HeaderId::From))
            .header("To", &format!("{};tag=b1", value(HeaderId::To)))
            .header("Call-ID", &value(HeaderId::CallId))
            .header("CSeq", &format!("2 {method}"))
            .header("Route", "<sip:127.0.0.1:5060;lr>")
    }

    /// Nobody answers in time.
    pub fn times_out(&mut self) -> &mut Call {
        for branch in self.round..self.sent.len() {
            if self.sent[branch].is_open() {
                self.take_reply(branch, 408, true, &[]);
            }
        }
        self.settle();
        self
    }

    /// The caller cancels: the open branches end with 487.
    pub fn cancels(&mut self) -> &mut Call {
        self.canceled = true;
        self.replies(487)
    }

    fn event(&self, family: Family, request: Message) -> Event {
        Event {
            family,
            request,
            reply: None,
            source: self.source,
            destination: None,
            credentials: self.credentials.clone(),
            decided: Vec::new(),
            targets: Vec::new(),
            next_hop: None,
            vars: self.vars.clone(),
            arms: self.arms.clone(),
            route_params: None,
            status: self.best().map(|(status, _)| status),
            canceled: self.canceled,
            timed_out: false,
            branch: None,
            dialog: self.dialog.map(Tracked::Begun),
        }
    }

    /// Runs a route; gives the event back as the script left it.
    fn run(
        &mut self,
        event: Event,
        export: impl FnOnce(&Loaded) -> Result<Outcome, String>,
    ) -> (Event, Result<Outcome, String>) {
        self.site.world.borrow_mut().event = Some(event);
        let outcome = self.site.run(export);
        let event = self.site.world.borrow_mut().event.take();
        let event = event.expect("a script leaves its event where it is");
        self.vars = event.vars.clone();
        self.arms = event.arms.clone();
        if let Some(Tracked::Begun(id)) = event.dialog {
            self.dialog = Some(id);
        }
        if let Err(error) = &outcome {
            println!("the route fails: {error}");
            self.error = Some(error.clone());
        }
        (event, outcome)
    }

    /// What a request or failure route came to. `best` is what a failure route leaves to be sent.
    fn carry_out(&mut self, event: Event, outcome: Result<Outcome, String>, best: Option<u16>) {
        match outcome {
            Ok(Outcome::Drop) => {
                self.dropped = true;
                return;
            }
            Ok(Outcome::Done) if event.decided.iter().any(Decision::ends) => {}
            _ => return self.give(best.unwrap_or(500), "", Vec::new(), None),
        }
        self.request = event.request;
        let (targets, next_hop) = (event.targets, event.next_hop);
        for decision in event.decided {
            match decision {
                Decision::Relay => {
                    let uri = text(self.request.request_uri());
                    let mut all = targets.clone();
                    if all.is_empty() {
                        let next_hop = next_hop.clone();
                        all.push(Target {
                            next_hop,
                            ..Target::from(uri.as_str())
                        });
                    }
                    self.send(all);
                }
                Decision::Fork(targets, Order::Parallel) => self.send(targets),
                Decision::Fork(mut targets, Order::Serial) => {
                    targets.sort_by_key(|target| std::cmp::Reverse(target.q));
                    let groups = targets.chunk_by(|a, b| a.q == b.q).map(<[Target]>::to_vec);
                    self.waiting = groups.rev().collect();
                    if let Some(first) = self.waiting.pop() {
                        self.send(first);
                    }
                }
                Decision::Forward => {
                    self.forwarded = Some(Branch::new(self.request.clone(), next_hop.clone()));
                }
                Decision::Replicate(to) => {
                    let copies = to.into_iter();
                    let copy = |hop| Branch::new(self.request.clone(), Some(hop));
                    self.copies.extend(copies.map(copy));
                }
                Decision::Reply(status, reason, headers, body) => {
                    self.give(status, &reason, headers, body);
                }
                Decision::Challenge(kind, realm) => {
                    let (status, name) = match kind {
                        Kind::Www => (401, "WWW-Authenticate"),
                        Kind::Proxy => (407, "Proxy-Authenticate"),
                    };
                    let challenge = Header {
                        name: name.to_owned(),
                        value: format!("Digest realm=\"{realm}\", nonce=\"0\", qop=\"auth\""),
                    };
                    self.give(status, "", vec![challenge], None);
                }
                Decision::Cancel => {
                    self.waiting.clear();
                    for branch in self.sent.iter_mut().filter(|branch| branch.is_open()) {
                        branch.status = Some(487);
                    }
                }
            }
        }
    }

    /// A new round of branches, each through its branch route and the onsend route.
    fn send(&mut self, targets: Vec<Target>) {
        self.round = self.sent.len();
        for (number, target) in targets.into_iter().enumerate() {
            let mut edits = vec![Edit::SetUri(target.uri)];
            edits.extend(target.path.into_iter().rev().map(|value| {
                Edit::PrependHeader(Header {
                    name: "Route".to_owned(),
                    value,
                })
            }));
            let copy = apply(&self.request, &edits).unwrap_or_else(|e| panic!("{}", e.message));
            let mut event = self.event(Family::BranchRoute, copy);
            event.branch = Some(number as u32);
            event.next_hop = target.next_hop;
            if !self.arms.branch.is_empty() {
                let name = self.arms.branch.clone();
                let (after, outcome) = self.run(event, |script| (script.on_branch)(name));
                if outcome != Ok(Outcome::Done) {
                    continue;
                }
                event = after;
            }
            let branch = Branch::new(event.request, event.next_hop);
            if self.site.handles(Family::OnsendRoute, "") {
                let mut event = self.event(Family::OnsendRoute, branch.message.clone());
                event.destination = Some(self.source);
                let (_, outcome) = self.run(event, |script| (script.on_send)());
                if outcome == Ok(Outcome::Drop) {
                    continue;
                }
            }
            self.sent.push(branch);
        }
    }

    /// A reply of a branch, through the reply routes.
    fn take_reply(
        &mut self,
        branch: usize,
        status: u16,
        timed_out: bool,
        headers: &[(&str, &str)],
    ) {
        let mut answered = response(&self.sent[branch].message, status, "", Some("b1"));
        for (name, value) in headers {
            let added = answered.header(name.as_bytes(), value.as_bytes());
            answered = added.unwrap_or_else(|error| panic!("{error}"));
        }
        let mut reply = parse(&text(&answered.finish()));
        let onreply = self.arms.onreply.clone();
        let routes = [
            (
                !timed_out && self.site.handles(Family::ReplyRoute, ""),
                Family::ReplyRoute,
            ),
            (!timed_out && !onreply.is_empty(), Family::OnreplyRoute),
        ];
        for (wanted, family) in routes {
            if !wanted {
                continue;
            }
            let mut event = self.event(family, self.sent[branch].message.clone());
            event.reply = Some(reply);
            event.branch = Some((branch - self.round) as u32);
            let name = onreply.clone();
            let (event, outcome) = self.run(event, |script| match family {
                Family::ReplyRoute => (script.on_reply)(),
                _ => (script.on_branch_reply)(name),
            });
            reply = event.reply.expect("a script leaves the reply where it is");
            if outcome == Ok(Outcome::Drop) && (status < 200 || family == Family::ReplyRoute) {
                return;
            }
        }
        if status < 200 {
            self.answered(Answer::of(&reply));
            return;
        }
        self.sent[branch].status = Some(status);
        self.sent[branch].timed_out = timed_out;
        if status < 300 {
            self.waiting.clear();
            self.answered(Answer::of(&reply));
        }
    }

    /// When every branch has failed: the next group, else the failure route, else the best reply.
    fn settle(&mut self) {
        let Some((status, timed_out)) = self.best() else {
            return;
        };
        let over = self.answer().is_some() || self.dropped;
        if over || self.sent.iter().any(Branch::is_open) {
            return;
        }
        if let Some(group) = self.waiting.pop() {
            return self.send(group);
        }
        let name = mem::take(&mut self.arms.failure);
        if name.is_empty() {
            return self.give(status, "", Vec::new(), None);
        }
        let mut event = self.event(Family::FailureRoute, self.request.clone());
        let best = response(&self.request, status, "", Some("b1"));
        event.reply = Some(parse(&text(&best.finish())));
        event.timed_out = timed_out;
        self.sent
            .iter_mut()
            .for_each(|branch| branch.status = branch.status.or(Some(408)));
        let (event, outcome) = self.run(event, |script| (script.on_failure)(name));
        self.carry_out(event, outcome, Some(status));
    }

    /// The best final status so far (RFC 3261 section 16.7, step 6) and whether a timer made it.
    fn best(&self) -> Option<(u16, bool)> {
        let round = self.sent.iter().skip(self.round);
        round
            .filter_map(|branch| Some((branch.status?, branch.timed_out)))
            .min_by_key(|(status, _)| if *status >= 600 { 0 } else { *status })
    }

    /// The caller gets an answer.
    fn answered(&mut self, answer: Answer) {
        let status = answer.status;
        self.answers.push(answer);
        if let Some(id) = self.dialog {
            self.site.dialog_answered(id, status);
        }
    }

    fn give(&mut self, status: u16, reason: &str, headers: Vec<Header>, body: Option<Body>) {
        let reason = if reason.is_empty() {
            reason_phrase(status)
        } else {
            reason
        };
        let mut headers: Vec<_> = headers.into_iter().map(|h| (h.name, h.value)).collect();
        if let Some(body) = &body {
            headers.push(("Content-Type".to_owned(), body.content_type.clone()));
        }
        self.answered(Answer {
            status,
            reason: reason.to_owned(),
            headers,
            body: body.map(|body| body.content).unwrap_or_default(),
        });
    }
}

impl Branch {
    fn new(message: Message, next_hop: Option<String>) -> Branch {
        Branch {
            message,
            next_hop,
            status: None,
            timed_out: false,
        }
    }

    /// The request URI.
    pub fn uri(&self) -> String {
        text(self.message.request_uri())
    }

    /// The next hop where the script set one; `$du`.
    pub fn next_hop(&self) -> Option<&str> {
        self.next_hop.as_deref()
    }

    /// The first value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self
            .message
            .fields()
            .find(|field| field.is_named(name.as_bytes()))?;
        std::str::from_utf8(field.value).ok()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        self.message.body()
    }

    /// The whole request as the script left it, without what the host adds while sending (Via, Max-Forwards).
    pub fn text(&self) -> String {
        text(self.message.bytes())
    }

    fn is_open(&self) -> bool {
        self.status.is_none()
    }
}

impl Answer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The first value of a header field that the script gave, or that a reply carried.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(n, _)| crate::header::same(n.as_bytes(), name))?;
        Some(&found.1)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn of(reply: &Message) -> Answer {
        let fields = reply.fields().filter(|field| field.id != HeaderId::Via);
        Answer {
            status: reply.status(),
            reason: text(reply.reason()),
            headers: fields.map(|f| (text(f.name), text(f.value))).collect(),
            body: reply.body().to_vec(),
        }
    }
}

impl fmt::Debug for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{} ({status})", self.uri()),
            None => f.write_str(&self.uri()),
        }
    }
}

/// What happened, for an assertion's message.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("request", &text(self.request.request_uri()))
            .field("sent", &self.sent)
            .field("forwarded", &self.forwarded)
            .field("answers", &self.answers)
            .field("dropped", &self.dropped)
            .field("error", &self.error)
            .field("log", &self.log())
            .finish()
    }
}
