//! INVITE server transaction: RFC 3261 s.17.2.1 (figure 7) as changed by RFC 6026 s.7.1 (`Accepted`, Timer L).
//!
//! Owns the state and its timers. Holds no message: the last response and the place it goes to belong to the
//! [`Manager`](super::Manager)'s cell, which does what the machine says.

use super::server::Act;
use super::timers::{Backoff, Time, Timers};

/// The states of figure 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteServer {
    /// The INVITE is with the transaction user; perhaps a provisional response went out.
    Proceeding {
        /// When 100 is due because nothing else has been said; none once any response went out.
        trying: Option<Time>,
    },
    /// 300-699 went out and the ACK is awaited.
    Completed {
        /// Timer G; none over a reliable transport.
        g: Option<Backoff>,
        /// Timer H.
        h: Time,
    },
    /// The ACK has come; its copies are absorbed.
    Confirmed {
        /// Timer I.
        i: Time,
    },
    /// 2xx went out; copies of the INVITE are absorbed, further 2xx go out (RFC 6026).
    Accepted {
        /// Timer L.
        l: Time,
    },
    /// Nothing is left to do.
    Terminated,
}

impl InviteServer {
    /// An INVITE has come and was handed to the transaction user.
    pub fn new(now: Time, timers: &Timers) -> InviteServer {
        InviteServer::Proceeding {
            trying: Some(now + timers.trying),
        }
    }

    /// A copy of the INVITE has come.
    pub fn request(self) -> (InviteServer, Act) {
        use InviteServer::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match self {
            Proceeding { trying: None } | Completed { .. } => (self, Act::Resend),
            Proceeding { trying: Some(_) } | Accepted { .. } | Confirmed { .. } | Terminated => {
                (self, Act::Nothing)
            }
        }
    }

    /// An ACK that matches has come.
    pub fn ack(self, now: Time, reliable: bool, timers: &Timers) -> (InviteServer, Act) {
        use InviteServer::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match self {
            Completed { .. } if reliable => (Terminated, Act::Nothing),
            Completed { .. } => (Confirmed { i: now + timers.i }, Act::Nothing),
            Accepted { .. } => (self, Act::PassAck),
            Proceeding { .. } | Confirmed { .. } | Terminated => (self, Act::Nothing),
        }
    }

    /// The transaction user gives a response.
    pub fn respond(
        self,
        status: u16,
        now: Time,
        reliable: bool,
        timers: &Timers,
    ) -> (InviteServer, Act) {
        use InviteServer::{Accepted, Completed, Proceeding};
        match (self, status) {
            (Proceeding { .. }, ..200) => (Proceeding { trying: None }, Act::Send),
            (Proceeding { .. }, 200..300) => (Accepted { l: now + timers.l }, Act::Send),
            (Proceeding { .. }, 300..) => {
                let state = Completed {
                    g: (!reliable).then(|| Backoff::new(now, timers.t1)),
                    h: now + timers.h,
                };
                (state, Act::Send)
            }
            (Accepted { .. }, 200..300) => (self, Act::Send),
            _ => (self, Act::Refuse),
        }
    }

    /// A timer of [`InviteServer::deadline`] is due.
    pub fn timer(self, now: Time, timers: &Timers) -> (InviteServer, Act) {
        use InviteServer::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match self {
            Proceeding { trying: Some(at) } if at <= now => {
                (Proceeding { trying: None }, Act::Trying)
            }
            Completed { h, .. } if h <= now => (Terminated, Act::NoAck),
            Completed { g: Some(g), h } if g.at <= now => {
                let g = Some(g.doubled_to(now, timers.t2));
                (Completed { g, h }, Act::Resend)
            }
            Confirmed { i } if i <= now => (Terminated, Act::Nothing),
            Accepted { l } if l <= now => (Terminated, Act::Nothing),
            _ => (self, Act::Nothing),
        }
    }

    /// A response could not be sent by any of the ways of s.18.2.2.
    pub fn transport_error(self) -> (InviteServer, Act) {
        use InviteServer::{Accepted, Completed, Confirmed, Proceeding, Terminated};
        match self {
            Proceeding { .. } | Completed { .. } => (Terminated, Act::Failed),
            Accepted { .. } | Confirmed { .. } | Terminated => (self, Act::Nothing),
        }
    }

    /// When [`InviteServer::timer`] has to be called next.
    pub fn deadline(&self) -> Option<Time> {
        match *self {
            InviteServer::Proceeding { trying } => trying,
            InviteServer::Completed { g, h } => Some(g.map_or(h, |g| g.at.min(h))),
            InviteServer::Confirmed { i } => Some(i),
            InviteServer::Accepted { l } => Some(l),
            InviteServer::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: bool = false;
    const TCP: bool = true;
    const SILENT: InviteServer = InviteServer::Proceeding {
        trying: Some(Time(200)),
    };
    const RUNG: InviteServer = InviteServer::Proceeding { trying: None };
    const CONFIRMED: InviteServer = InviteServer::Confirmed { i: Time(5_100) };
    const ACCEPTED: InviteServer = InviteServer::Accepted { l: Time(32_100) };

    fn says(state: InviteServer, status: u16) -> (InviteServer, Act) {
        state.respond(status, Time(100), UDP, &Timers::default())
    }

    fn completed() -> InviteServer {
        says(RUNG, 486).0
    }

    fn due(state: InviteServer, at: u64) -> (InviteServer, Act) {
        state.timer(Time(at), &Timers::default())
    }

    fn acked(state: InviteServer, reliable: bool) -> (InviteServer, Act) {
        state.ack(Time(100), reliable, &Timers::default())
    }

    #[test]
    fn proceeding_says_100_after_200_ms_of_silence() {
        let state = InviteServer::new(Time(0), &Timers::default());
        assert_eq!(state, SILENT);
        assert_eq!(due(state, 199), (SILENT, Act::Nothing));
        assert_eq!(due(state, 200), (RUNG, Act::Trying));
    }

    #[test]
    fn proceeding_1xx_goes_out_and_no_100_is_due_any_more() {
        assert_eq!(says(SILENT, 180), (RUNG, Act::Send));
        assert_eq!(RUNG.deadline(), None);
    }

    #[test]
    fn proceeding_repeats_the_last_provisional_for_a_copy_of_the_invite() {
        assert_eq!(RUNG.request(), (RUNG, Act::Resend));
        assert_eq!(SILENT.request(), (SILENT, Act::Nothing));
    }

    #[test]
    fn proceeding_2xx_goes_out_and_timer_l_starts() {
        assert_eq!(says(RUNG, 200), (ACCEPTED, Act::Send));
    }

    #[test]
    fn proceeding_300_to_699_goes_out_and_timers_g_and_h_start() {
        let (state, act) = says(SILENT, 404);
        assert_eq!(act, Act::Send);
        assert_eq!(
            state,
            InviteServer::Completed {
                g: Some(Backoff::new(Time(100), Timers::default().t1)),
                h: Time(32_100)
            }
        );
    }

    #[test]
    fn proceeding_ignores_an_ack() {
        assert_eq!(acked(RUNG, UDP), (RUNG, Act::Nothing));
    }

    #[test]
    fn proceeding_transport_error_terminates() {
        assert_eq!(
            RUNG.transport_error(),
            (InviteServer::Terminated, Act::Failed)
        );
    }

    #[test]
    fn completed_repeats_its_response_at_doubling_intervals_up_to_t2_until_timer_h() {
        let mut state = completed();
        let mut sent = Vec::new();
        let end = loop {
            let at = state.deadline().unwrap();
            let (next, act) = due(state, at.0);
            state = next;
            match act {
                Act::Resend => sent.push(at.0 - 100),
                other => break (at.0 - 100, other),
            }
        };
        assert_eq!(
            sent,
            [
                500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
            ]
        );
        assert_eq!(end, (32_000, Act::NoAck));
        assert_eq!(state, InviteServer::Terminated);
    }

    #[test]
    fn completed_over_tcp_only_waits_for_timer_h() {
        let (state, _) = RUNG.respond(486, Time(100), TCP, &Timers::default());
        assert_eq!(state.deadline(), Some(Time(32_100)));
    }

    #[test]
    fn completed_repeats_its_response_for_a_copy_of_the_invite() {
        assert_eq!(completed().request(), (completed(), Act::Resend));
    }

    #[test]
    fn completed_refuses_further_responses() {
        for status in [180, 200, 503] {
            assert_eq!(says(completed(), status), (completed(), Act::Refuse));
        }
    }

    #[test]
    fn completed_ack_confirms_with_timer_i() {
        assert_eq!(acked(completed(), UDP), (CONFIRMED, Act::Nothing));
    }

    #[test]
    fn over_tcp_timer_i_is_zero() {
        assert_eq!(
            acked(completed(), TCP),
            (InviteServer::Terminated, Act::Nothing)
        );
    }

    #[test]
    fn completed_transport_error_terminates() {
        assert_eq!(
            completed().transport_error(),
            (InviteServer::Terminated, Act::Failed)
        );
    }

    #[test]
    fn confirmed_absorbs_copies_of_ack_and_invite_and_ends_with_timer_i() {
        assert_eq!(acked(CONFIRMED, UDP), (CONFIRMED, Act::Nothing));
        assert_eq!(CONFIRMED.request(), (CONFIRMED, Act::Nothing));
        assert_eq!(due(CONFIRMED, 5_099), (CONFIRMED, Act::Nothing));
        assert_eq!(
            due(CONFIRMED, 5_100),
            (InviteServer::Terminated, Act::Nothing)
        );
    }

    #[test]
    fn accepted_absorbs_copies_of_the_invite() {
        assert_eq!(ACCEPTED.request(), (ACCEPTED, Act::Nothing));
    }

    #[test]
    fn accepted_passes_the_ack_to_the_transaction_user() {
        assert_eq!(acked(ACCEPTED, UDP), (ACCEPTED, Act::PassAck));
    }

    #[test]
    fn accepted_sends_further_2xx_and_nothing_else() {
        assert_eq!(says(ACCEPTED, 200), (ACCEPTED, Act::Send));
        assert_eq!(says(ACCEPTED, 180), (ACCEPTED, Act::Refuse));
        assert_eq!(says(ACCEPTED, 486), (ACCEPTED, Act::Refuse));
    }

    #[test]
    fn accepted_ends_with_timer_l() {
        assert_eq!(due(ACCEPTED, 32_099), (ACCEPTED, Act::Nothing));
        assert_eq!(
            due(ACCEPTED, 32_100),
            (InviteServer::Terminated, Act::Nothing)
        );
    }

    #[test]
    fn accepted_stands_through_a_transport_error() {
        assert_eq!(ACCEPTED.transport_error(), (ACCEPTED, Act::Nothing));
    }
}
