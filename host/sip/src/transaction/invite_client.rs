//! INVITE client transaction: RFC 3261 s.17.1.1 (figure 5) as changed by RFC 6026 s.7.2 (`Accepted`, Timer M).
//!
//! Owns the state and its timers. Holds no message: it says what to do with the request, the ACK and the response, and its
//! owner, the [`Manager`](super::Manager)'s branch, does it.

use super::client::Act;
use super::timers::{Backoff, Time, Timers};

/// The states of figure 5; `Terminated` is the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteClient {
    /// The INVITE is out and nothing has come back.
    Calling {
        /// Timer A; none over a reliable transport.
        a: Option<Backoff>,
        /// Timer B.
        b: Time,
    },
    /// A provisional response has come; no timer of this layer runs (the proxy's Timer C does).
    Proceeding,
    /// 300-699 has come and was acknowledged; copies of it are acknowledged again.
    Completed {
        /// Timer D.
        d: Time,
    },
    /// 2xx has come; its copies and those of other forks are passed on (RFC 6026).
    Accepted {
        /// Timer M.
        m: Time,
    },
    /// Nothing is left to do.
    Terminated,
}

impl InviteClient {
    /// The INVITE has just been sent.
    pub fn new(now: Time, reliable: bool, timers: &Timers) -> InviteClient {
        InviteClient::Calling {
            a: (!reliable).then(|| Backoff::new(now, timers.t1)),
            b: now + timers.b,
        }
    }

    /// A response to the INVITE has come.
    pub fn response(
        self,
        status: u16,
        now: Time,
        reliable: bool,
        timers: &Timers,
    ) -> (InviteClient, Act) {
        use InviteClient::{Accepted, Calling, Completed, Proceeding, Terminated};
        match (self, status) {
            (Calling { .. } | Proceeding, ..200) => (Proceeding, Act::Pass),
            (Calling { .. } | Proceeding, 200..300) => (Accepted { m: now + timers.m }, Act::Pass),
            (Calling { .. } | Proceeding, 300..) if reliable => (Terminated, Act::AckAndPass),
            (Calling { .. } | Proceeding, 300..) => {
                (Completed { d: now + timers.d }, Act::AckAndPass)
            }
            (Completed { .. }, 300..) => (self, Act::Ack),
            (Accepted { .. }, 200..300) => (self, Act::Pass),
            (Completed { .. } | Accepted { .. } | Terminated, _) => (self, Act::Nothing),
        }
    }

    /// A timer of [`InviteClient::deadline`] is due.
    pub fn timer(self, now: Time) -> (InviteClient, Act) {
        use InviteClient::{Accepted, Calling, Completed, Terminated};
        match self {
            Calling { b, .. } if b <= now => (Terminated, Act::TimedOut),
            Calling { a: Some(a), b } if a.at <= now => (
                Calling {
                    a: Some(a.doubled(now)),
                    b,
                },
                Act::Send,
            ),
            Completed { d } if d <= now => (Terminated, Act::Nothing),
            Accepted { m } if m <= now => (Terminated, Act::Nothing),
            _ => (self, Act::Nothing),
        }
    }

    /// The request (or, in `Completed`, the ACK) could not be sent.
    pub fn transport_error(self) -> (InviteClient, Act) {
        use InviteClient::{Accepted, Calling, Completed, Proceeding, Terminated};
        match self {
            Calling { .. } | Completed { .. } => (Terminated, Act::Failed),
            // Nothing is sent in these; an error that comes late is of a request that has arrived.
            Proceeding | Accepted { .. } | Terminated => (self, Act::Nothing),
        }
    }

    /// When [`InviteClient::timer`] has to be called next.
    pub fn deadline(&self) -> Option<Time> {
        match *self {
            InviteClient::Calling { a, b } => Some(a.map_or(b, |a| a.at.min(b))),
            InviteClient::Completed { d } => Some(d),
            InviteClient::Accepted { m } => Some(m),
            InviteClient::Proceeding | InviteClient::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: bool = false;
    const TCP: bool = true;

    fn calling(reliable: bool) -> InviteClient {
        InviteClient::new(Time(0), reliable, &Timers::default())
    }

    fn after(state: InviteClient, status: u16) -> (InviteClient, Act) {
        state.response(status, Time(1_000), UDP, &Timers::default())
    }

    const COMPLETED: InviteClient = InviteClient::Completed { d: Time(33_000) };
    const ACCEPTED: InviteClient = InviteClient::Accepted { m: Time(33_000) };

    #[test]
    fn calling_sends_again_at_doubling_intervals_until_timer_b() {
        let mut state = calling(UDP);
        let mut sent = Vec::new();
        let end = loop {
            let at = state.deadline().unwrap();
            let (next, act) = state.timer(at);
            state = next;
            match act {
                Act::Send => sent.push(at.0),
                other => break (at.0, other),
            }
        };
        assert_eq!(sent, [500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert_eq!(end, (32_000, Act::TimedOut));
        assert_eq!(state, InviteClient::Terminated);
    }

    #[test]
    fn calling_over_tcp_only_waits_for_timer_b() {
        let state = calling(TCP);
        assert_eq!(state.deadline(), Some(Time(32_000)));
        assert_eq!(
            state.timer(Time(32_000)),
            (InviteClient::Terminated, Act::TimedOut)
        );
    }

    #[test]
    fn calling_1xx_proceeds_and_stops_every_timer() {
        let (state, act) = after(calling(UDP), 180);
        assert_eq!((state, act), (InviteClient::Proceeding, Act::Pass));
        assert_eq!(state.deadline(), None);
    }

    #[test]
    fn calling_2xx_is_accepted_with_timer_m() {
        assert_eq!(after(calling(UDP), 200), (ACCEPTED, Act::Pass));
    }

    #[test]
    fn calling_300_to_699_is_acknowledged_and_completed_with_timer_d() {
        for status in [300, 486, 503, 699] {
            assert_eq!(after(calling(UDP), status), (COMPLETED, Act::AckAndPass));
        }
    }

    #[test]
    fn calling_transport_error_terminates() {
        assert_eq!(
            calling(UDP).transport_error(),
            (InviteClient::Terminated, Act::Failed)
        );
    }

    #[test]
    fn proceeding_passes_every_further_1xx() {
        assert_eq!(
            after(InviteClient::Proceeding, 183),
            (InviteClient::Proceeding, Act::Pass)
        );
    }

    #[test]
    fn proceeding_2xx_is_accepted() {
        assert_eq!(after(InviteClient::Proceeding, 202), (ACCEPTED, Act::Pass));
    }

    #[test]
    fn proceeding_300_to_699_is_acknowledged_and_completed() {
        assert_eq!(
            after(InviteClient::Proceeding, 487),
            (COMPLETED, Act::AckAndPass)
        );
    }

    #[test]
    fn over_tcp_timer_d_is_zero_and_the_transaction_ends_with_its_ack() {
        let (state, act) = InviteClient::Proceeding.response(486, Time(9), TCP, &Timers::default());
        assert_eq!((state, act), (InviteClient::Terminated, Act::AckAndPass));
    }

    #[test]
    fn completed_acknowledges_copies_and_passes_none() {
        assert_eq!(after(COMPLETED, 486), (COMPLETED, Act::Ack));
        assert_eq!(after(COMPLETED, 180), (COMPLETED, Act::Nothing));
        assert_eq!(after(COMPLETED, 200), (COMPLETED, Act::Nothing));
    }

    #[test]
    fn completed_ends_with_timer_d() {
        assert_eq!(COMPLETED.timer(Time(32_999)), (COMPLETED, Act::Nothing));
        assert_eq!(
            COMPLETED.timer(Time(33_000)),
            (InviteClient::Terminated, Act::Nothing)
        );
    }

    #[test]
    fn completed_transport_error_of_the_ack_terminates() {
        assert_eq!(
            COMPLETED.transport_error(),
            (InviteClient::Terminated, Act::Failed)
        );
    }

    #[test]
    fn accepted_passes_every_2xx_and_nothing_else() {
        assert_eq!(after(ACCEPTED, 200), (ACCEPTED, Act::Pass));
        assert_eq!(after(ACCEPTED, 180), (ACCEPTED, Act::Nothing));
        assert_eq!(after(ACCEPTED, 486), (ACCEPTED, Act::Nothing));
    }

    #[test]
    fn accepted_ends_with_timer_m() {
        assert_eq!(ACCEPTED.deadline(), Some(Time(33_000)));
        assert_eq!(
            ACCEPTED.timer(Time(33_000)),
            (InviteClient::Terminated, Act::Nothing)
        );
    }

    #[test]
    fn proceeding_and_accepted_stand_through_a_transport_error() {
        for state in [InviteClient::Proceeding, ACCEPTED] {
            assert_eq!(state.transport_error(), (state, Act::Nothing));
        }
    }
}
