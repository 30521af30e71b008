//! What each lane counts, and the sum of it for whoever asks.
//!
//! Each counter is written by its own lane only (relaxed stores, no lock) and read from anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchhook_net::{Counter, NetCounters, counters};
use switchhook_sip::message::Method;

counters! {
    /// Counters of one lane, apart from its sockets'.
    LaneCounters {
        /// INVITE requests received.
        invite: "requests.invite",
        /// ACK requests received.
        ack: "requests.ack",
        /// BYE requests received.
        bye: "requests.bye",
        /// CANCEL requests received.
        cancel: "requests.cancel",
        /// OPTIONS requests received.
        options: "requests.options",
        /// REGISTER requests received.
        register: "requests.register",
        /// MESSAGE requests received.
        message: "requests.message",
        /// Requests of all other methods received.
        other: "requests.other",
        /// Replies received.
        replies: "replies.received",
        /// 1xx sent.
        sent_1xx: "replies.sent.1xx",
        /// 2xx sent.
        sent_2xx: "replies.sent.2xx",
        /// 3xx sent.
        sent_3xx: "replies.sent.3xx",
        /// 4xx sent.
        sent_4xx: "replies.sent.4xx",
        /// 5xx sent.
        sent_5xx: "replies.sent.5xx",
        /// 6xx sent.
        sent_6xx: "replies.sent.6xx",
        /// Requests sent, retransmissions and ACK included.
        sent_requests: "requests.sent",
        /// Server transactions alive.
        alive: "transactions.alive",
        /// Server transactions that somebody waits for; counted only while the lane drains.
        unfinished: "transactions.unfinished",
        /// 1 for each lane that has taken notice of the drain.
        drains: "lanes.draining",
        /// Server transactions created.
        created: "transactions.created",
        /// Requests refused because there were too many transactions.
        full: "transactions.refused",
        /// Retransmissions and hop-by-hop ACKs absorbed.
        absorbed: "transactions.absorbed",
        /// Messages that came to this lane from another.
        handed_over: "lanes.handed_over",
        /// Messages dropped because another lane's inbox was full.
        handover_full: "lanes.drop.inbox_full",
        /// Malformed requests refused.
        malformed: "drop.malformed_answered",
        /// Malformed messages dropped without an answer.
        dropped: "drop.malformed",
        /// Replies of transactions that are over.
        late: "drop.late_replies",
        /// Replies to nothing we sent.
        stray: "drop.stray_replies",
        /// New requests refused because the daemon is stopping.
        draining: "drop.draining",
        /// New requests refused because the lane was behind.
        overload: "drop.overload",
        /// Guest calls.
        guest_calls: "guest.calls",
        /// Guest calls that waited in a host call or for the background thread.
        suspended: "guest.suspended",
        /// Guest calls moved to the background thread.
        background: "guest.background",
        /// Guest calls that failed by a trap.
        traps: "guest.traps",
        /// Guest calls that reached their deadline.
        deadlines: "guest.deadlines",
        /// Guest calls that reached another limit.
        limits: "guest.limits",
        /// Guest calls that returned an error text.
        errors: "guest.errors",
        /// Requests for which nothing was decided.
        undecided: "guest.undecided",
        /// Events that waited for an instance.
        waited: "guest.waited",
        /// Events refused because too many waited for an instance.
        waiting_full: "guest.waiting_full",
        /// Events that wait for an instance now.
        waiting: "guest.waiting",
        /// Questions to the DNS.
        lookups: "dns.lookups",
        /// Questions to the DNS without a usable answer.
        unresolved: "dns.unresolved",
        /// Requests that went to a further address of their target, because the one before failed.
        next_addresses: "relay.next_address",
        /// Copies of requests sent to other servers.
        copies: "copies.sent",
        /// Copies of requests sent again.
        copies_again: "copies.repeated",
        /// Copies of requests that were refused.
        copies_refused: "copies.refused",
        /// Copies of requests that were never answered.
        copies_lost: "copies.lost",
        /// Requests of scripts' own sent.
        own_sent: "uac.sent",
        /// Requests of scripts' own under way.
        own_alive: "uac.alive",
        /// Requests of scripts' own sent again.
        own_repeated: "uac.repeated",
        /// Requests of scripts' own sent anew with credentials.
        own_challenged: "uac.challenged",
        /// Requests of scripts' own that were never answered.
        own_silent: "uac.timed_out",
        /// Requests of scripts' own that reached nobody.
        own_unreachable: "uac.unreachable",
        /// Sends that failed.
        send_failed: "transport.failed",
        /// Dialogs that scripts began to track.
        dialogs_begun: "dialogs.begun",
        /// Dialogs that were answered.
        dialogs_started: "dialogs.started",
        /// Dialogs that a BYE ended, of a phone or from here.
        dialogs_ended: "dialogs.ended",
        /// BYEs sent by the host itself.
        dialog_byes: "dialogs.byes",
        /// Dialogs that were refused, cancelled or never answered.
        dialogs_failed: "dialogs.failed",
        /// Dialogs whose time was over.
        dialogs_timed_out: "dialogs.timed_out",
        /// Contacts whose time was over.
        expired: "registrar.expired",
    }
}

impl LaneCounters {
    pub(crate) fn request(&self, method: Method<'_>) {
        match method {
            Method::Invite => &self.invite,
            Method::Ack => &self.ack,
            Method::Bye => &self.bye,
            Method::Cancel => &self.cancel,
            Method::Options => &self.options,
            Method::Register => &self.register,
            Method::Message => &self.message,
            _ => &self.other,
        }
        .count();
    }

    /// Counts what goes out by its first bytes.
    pub(crate) fn sent(&self, bytes: &[u8]) {
        let class: Option<&Counter> = match bytes.strip_prefix(b"SIP/2.0 ").and_then(<[u8]>::first)
        {
            Some(b'1') => Some(&self.sent_1xx),
            Some(b'2') => Some(&self.sent_2xx),
            Some(b'3') => Some(&self.sent_3xx),
            Some(b'4') => Some(&self.sent_4xx),
            Some(b'5') => Some(&self.sent_5xx),
            Some(b'6') => Some(&self.sent_6xx),
            _ => None,
        };
        class.unwrap_or(&self.sent_requests).count();
    }
}

/// The counters of all lanes at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// How many lanes there are.
    pub lanes: usize,
    sums: BTreeMap<&'static str, u64>,
}

impl Stats {
    pub(crate) fn of(lanes: &[(Arc<LaneCounters>, Arc<NetCounters>)]) -> Stats {
        let mut sums = BTreeMap::new();
        for (lane, net) in lanes {
            let mut add = |name, value| *sums.entry(name).or_default() += value;
            lane.each(&mut add);
            net.each(&mut add);
        }
        Stats {
            lanes: lanes.len(),
            sums,
        }
    }

    /// Each name with the sum over all lanes, sorted by name.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.sums.iter().map(|(name, value)| (*name, *value))
    }

    /// One number; 0 for a name that is not there.
    pub fn value(&self, name: &str) -> u64 {
        self.sums.get(name).copied().unwrap_or_default()
    }
}
