//! Non-INVITE client transaction: RFC 3261 s.17.1.2 (figure 6).
//!
//! Owns the state and its timers, no message; see [`InviteClient`](super::InviteClient) for the division of work. Timer K is zero over any
//! transport: what the Completed state would do, to drop copies of the final response, the layer does for every branch that it once made and
//! that is over (RFC 6026 s.8). So nothing of a client transaction is kept once it is answered.

use super::client::Act;
use super::timers::{Backoff, Time, Timers};

/// The states of figure 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteClient {
    /// The request is out and nothing has come back.
    Trying {
        /// Timer E; none over a reliable transport.
        e: Option<Backoff>,
        /// Timer F.
        f: Time,
    },
    /// A provisional response has come; the request is repeated every T2.
    Proceeding {
        /// Timer E; none over a reliable transport.
        e: Option<Backoff>,
        /// Timer F.
        f: Time,
    },
    /// Nothing is left to do.
    Terminated,
}

impl NonInviteClient {
    /// The request has just been sent.
    pub fn new(now: Time, reliable: bool, timers: &Timers) -> NonInviteClient {
        NonInviteClient::Trying {
            e: (!reliable).then(|| Backoff::new(now, timers.t1)),
            f: now + timers.f,
        }
    }

    /// A response has come.
    pub fn response(self, status: u16) -> (NonInviteClient, Act) {
        use NonInviteClient::{Proceeding, Terminated, Trying};
        match (self, status) {
            (Trying { e, f } | Proceeding { e, f }, ..200) => (Proceeding { e, f }, Act::Pass),
            (Trying { .. } | Proceeding { .. }, _) => (Terminated, Act::Pass),
            (Terminated, _) => (self, Act::Nothing),
        }
    }

    /// A timer of [`NonInviteClient::deadline`] is due.
    pub fn timer(self, now: Time, timers: &Timers) -> (NonInviteClient, Act) {
        use NonInviteClient::{Proceeding, Terminated, Trying};
        match self {
            Trying { f, .. } | Proceeding { f, .. } if f <= now => (Terminated, Act::TimedOut),
            Trying { e: Some(e), f } if e.at <= now => {
                let e = Some(e.doubled_to(now, timers.t2));
                (Trying { e, f }, Act::Send)
            }
            Proceeding { e: Some(e), f } if e.at <= now => {
                let e = Some(Backoff::new(now, timers.t2));
                (Proceeding { e, f }, Act::Send)
            }
            _ => (self, Act::Nothing),
        }
    }

    /// The request could not be sent.
    pub fn transport_error(self) -> (NonInviteClient, Act) {
        use NonInviteClient::{Proceeding, Terminated, Trying};
        match self {
            Trying { .. } | Proceeding { .. } => (Terminated, Act::Failed),
            Terminated => (self, Act::Nothing),
        }
    }

    /// When [`NonInviteClient::timer`] has to be called next.
    pub fn deadline(&self) -> Option<Time> {
        match *self {
            NonInviteClient::Trying { e, f } | NonInviteClient::Proceeding { e, f } => {
                Some(e.map_or(f, |e| e.at.min(f)))
            }
            NonInviteClient::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: bool = false;
    const TCP: bool = true;

    fn trying(reliable: bool) -> NonInviteClient {
        NonInviteClient::new(Time(0), reliable, &Timers::default())
    }

    fn after(state: NonInviteClient, status: u16) -> (NonInviteClient, Act) {
        state.response(status)
    }

    /// The times of each repeat, and of the end.
    fn run(mut state: NonInviteClient) -> (Vec<u64>, u64, Act) {
        let mut sent = Vec::new();
        loop {
            let at = state.deadline().unwrap();
            let (next, act) = state.timer(at, &Timers::default());
            state = next;
            match act {
                Act::Send => sent.push(at.0),
                end => return (sent, at.0, end),
            }
        }
    }

    #[test]
    fn trying_sends_again_at_doubling_intervals_up_to_t2_until_timer_f() {
        let (sent, end, act) = run(trying(UDP));
        assert_eq!(
            sent,
            [
                500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
            ]
        );
        assert_eq!((end, act), (32_000, Act::TimedOut));
    }

    #[test]
    fn trying_over_tcp_only_waits_for_timer_f() {
        assert_eq!(run(trying(TCP)), (vec![], 32_000, Act::TimedOut));
    }

    #[test]
    fn trying_1xx_proceeds() {
        let (state, act) = after(trying(UDP), 100);
        assert!(matches!(state, NonInviteClient::Proceeding { .. }));
        assert_eq!(act, Act::Pass);
    }

    #[test]
    fn proceeding_sends_again_every_t2_until_timer_f() {
        let (state, _) = trying(UDP).response(100);
        let (sent, end, act) = run(state);
        assert_eq!(
            sent,
            [500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500]
        );
        assert_eq!((end, act), (32_000, Act::TimedOut));
    }

    #[test]
    fn proceeding_passes_every_further_1xx() {
        let (state, _) = after(trying(UDP), 100);
        assert_eq!(after(state, 183), (state, Act::Pass));
    }

    #[test]
    fn a_final_response_ends_it_over_any_transport() {
        let (proceeding, _) = after(trying(UDP), 100);
        for state in [trying(UDP), trying(TCP), proceeding] {
            for status in [200, 302, 404, 503, 603] {
                assert_eq!(
                    after(state, status),
                    (NonInviteClient::Terminated, Act::Pass)
                );
            }
        }
    }

    #[test]
    fn terminated_passes_no_copy_on() {
        let over = NonInviteClient::Terminated;
        assert_eq!(after(over, 200), (over, Act::Nothing));
        assert_eq!(over.transport_error(), (over, Act::Nothing));
        assert_eq!(over.deadline(), None);
    }

    #[test]
    fn trying_and_proceeding_transport_error_terminate() {
        let (proceeding, _) = after(trying(UDP), 100);
        for state in [trying(UDP), proceeding] {
            assert_eq!(
                state.transport_error(),
                (NonInviteClient::Terminated, Act::Failed)
            );
        }
    }
}
