//! Non-INVITE server transaction: RFC 3261 s.17.2.2 (figure 8), with RFC 4320 s.4: 100 only late, and never 408.
//!
//! Owns the state and its timers, no message; see [`InviteServer`](super::InviteServer) for the division of work.

use super::server::Act;
use super::timers::{Time, Timers};

/// The states of figure 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteServer {
    /// The request is with the transaction user and nothing went out.
    Trying {
        /// When 100 is due (RFC 4320 s.4.1).
        late: Time,
    },
    /// A provisional response went out.
    Proceeding,
    /// A final response went out; it is repeated for copies of the request.
    Completed {
        /// Timer J.
        j: Time,
    },
    /// Nothing is left to do.
    Terminated,
}

impl NonInviteServer {
    /// A request has come and was handed to the transaction user.
    pub fn new(now: Time, timers: &Timers) -> NonInviteServer {
        NonInviteServer::Trying {
            late: now + timers.late_trying,
        }
    }

    /// A copy of the request has come.
    pub fn request(self) -> (NonInviteServer, Act) {
        use NonInviteServer::{Completed, Proceeding, Terminated, Trying};
        match self {
            Proceeding | Completed { .. } => (self, Act::Resend),
            Trying { .. } | Terminated => (self, Act::Nothing),
        }
    }

    /// The transaction user gives a response. RFC 4320: 408 is refused and ends the transaction in silence (s.4.2); of the
    /// provisional ones only 100 goes out, over an unreliable transport only after `late` (s.4.1).
    pub fn respond(
        self,
        status: u16,
        now: Time,
        reliable: bool,
        timers: &Timers,
    ) -> (NonInviteServer, Act) {
        use NonInviteServer::{Completed, Proceeding, Terminated, Trying};
        match (self, status) {
            (Trying { late }, 100) if reliable || late <= now => (Proceeding, Act::Send),
            (Proceeding, 100) => (Proceeding, Act::Send),
            (Trying { .. } | Proceeding, 408) => (Terminated, Act::Refuse),
            (Trying { .. } | Proceeding, 200..) if reliable => (Terminated, Act::Send),
            (Trying { .. } | Proceeding, 200..) => (Completed { j: now + timers.j }, Act::Send),
            _ => (self, Act::Refuse),
        }
    }

    /// A timer of [`NonInviteServer::deadline`] is due.
    pub fn timer(self, now: Time) -> (NonInviteServer, Act) {
        use NonInviteServer::{Completed, Proceeding, Terminated, Trying};
        match self {
            Trying { late } if late <= now => (Proceeding, Act::Trying),
            Completed { j } if j <= now => (Terminated, Act::Nothing),
            _ => (self, Act::Nothing),
        }
    }

    /// A response could not be sent by any of the ways of s.18.2.2.
    pub fn transport_error(self) -> (NonInviteServer, Act) {
        match self {
            NonInviteServer::Terminated => (self, Act::Nothing),
            _ => (NonInviteServer::Terminated, Act::Failed),
        }
    }

    /// When [`NonInviteServer::timer`] has to be called next.
    pub fn deadline(&self) -> Option<Time> {
        match *self {
            NonInviteServer::Trying { late } => Some(late),
            NonInviteServer::Completed { j } => Some(j),
            NonInviteServer::Proceeding | NonInviteServer::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: bool = false;
    const TCP: bool = true;
    const TRYING: NonInviteServer = NonInviteServer::Trying { late: Time(3_500) };
    const COMPLETED: NonInviteServer = NonInviteServer::Completed { j: Time(32_100) };

    fn says(state: NonInviteServer, status: u16) -> (NonInviteServer, Act) {
        state.respond(status, Time(100), UDP, &Timers::default())
    }

    #[test]
    fn trying_drops_copies_of_the_request() {
        assert_eq!(TRYING.request(), (TRYING, Act::Nothing));
    }

    #[test]
    fn trying_final_goes_out_and_timer_j_starts() {
        for status in [200, 302, 404, 500, 603] {
            assert_eq!(says(TRYING, status), (COMPLETED, Act::Send));
        }
    }

    #[test]
    fn over_tcp_timer_j_is_zero() {
        assert_eq!(
            TRYING.respond(200, Time(100), TCP, &Timers::default()),
            (NonInviteServer::Terminated, Act::Send)
        );
    }

    #[test]
    fn proceeding_repeats_100_for_a_copy_of_the_request() {
        assert_eq!(
            NonInviteServer::Proceeding.request(),
            (NonInviteServer::Proceeding, Act::Resend)
        );
    }

    #[test]
    fn proceeding_final_goes_out_and_timer_j_starts() {
        assert_eq!(
            says(NonInviteServer::Proceeding, 200),
            (COMPLETED, Act::Send)
        );
    }

    #[test]
    fn completed_repeats_its_response_for_a_copy_of_the_request() {
        assert_eq!(COMPLETED.request(), (COMPLETED, Act::Resend));
    }

    #[test]
    fn completed_refuses_further_responses() {
        assert_eq!(says(COMPLETED, 200), (COMPLETED, Act::Refuse));
        assert_eq!(says(COMPLETED, 100), (COMPLETED, Act::Refuse));
    }

    #[test]
    fn completed_ends_with_timer_j() {
        assert_eq!(COMPLETED.timer(Time(32_099)), (COMPLETED, Act::Nothing));
        assert_eq!(
            COMPLETED.timer(Time(32_100)),
            (NonInviteServer::Terminated, Act::Nothing)
        );
    }

    #[test]
    fn every_state_transport_error_terminates() {
        for state in [TRYING, NonInviteServer::Proceeding, COMPLETED] {
            assert_eq!(
                state.transport_error(),
                (NonInviteServer::Terminated, Act::Failed)
            );
        }
    }

    #[test]
    fn rfc_4320_100_only_when_the_clients_timer_e_has_reached_t2() {
        assert_eq!(says(TRYING, 100), (TRYING, Act::Refuse));
        assert_eq!(TRYING.timer(Time(3_499)), (TRYING, Act::Nothing));
        assert_eq!(
            TRYING.timer(Time(3_500)),
            (NonInviteServer::Proceeding, Act::Trying)
        );
    }

    #[test]
    fn rfc_4320_100_at_any_time_over_tcp() {
        assert_eq!(
            TRYING.respond(100, Time(1), TCP, &Timers::default()),
            (NonInviteServer::Proceeding, Act::Send)
        );
    }

    #[test]
    fn rfc_4320_no_provisional_but_100() {
        assert_eq!(says(TRYING, 183), (TRYING, Act::Refuse));
    }

    #[test]
    fn rfc_4320_408_is_never_sent() {
        assert_eq!(
            says(TRYING, 408),
            (NonInviteServer::Terminated, Act::Refuse)
        );
    }
}
