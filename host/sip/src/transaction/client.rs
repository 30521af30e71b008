//! What a client transaction asks its owner to do, and the two machines behind one face.
//!
//! RFC 3261 s.17.1: the machine is chosen by method, and the transport says which timers are zero.

use super::invite_client::InviteClient;
use super::non_invite_client::NonInviteClient;
use super::timers::{Time, Timers};

/// What to do after a transition of a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Send the request again.
    Send,
    /// Send the ACK again.
    Ack,
    /// Give the response to the transaction user.
    Pass,
    /// Send the ACK and give the response to the transaction user.
    AckAndPass,
    /// Tell the transaction user that nothing has come (as if 408, s.8.1.3.1).
    TimedOut,
    /// Tell the transaction user that the request cannot be sent (as if 503, s.8.1.3.1).
    Failed,
}

/// A client transaction of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Of an INVITE.
    Invite(InviteClient),
    /// Of any other request but ACK.
    NonInvite(NonInviteClient),
}

impl Client {
    /// The request has just been sent.
    pub fn new(invite: bool, now: Time, reliable: bool, timers: &Timers) -> Client {
        if invite {
            Client::Invite(InviteClient::new(now, reliable, timers))
        } else {
            Client::NonInvite(NonInviteClient::new(now, reliable, timers))
        }
    }

    /// A response has come.
    #[must_use]
    pub fn response(&mut self, status: u16, now: Time, reliable: bool, timers: &Timers) -> Act {
        match *self {
            Client::Invite(state) => {
                let (state, act) = state.response(status, now, reliable, timers);
                *self = Client::Invite(state);
                act
            }
            Client::NonInvite(state) => {
                let (state, act) = state.response(status);
                *self = Client::NonInvite(state);
                act
            }
        }
    }

    /// Time has come to `now`.
    #[must_use]
    pub fn timer(&mut self, now: Time, timers: &Timers) -> Act {
        match *self {
            Client::Invite(state) => {
                let (state, act) = state.timer(now);
                *self = Client::Invite(state);
                act
            }
            Client::NonInvite(state) => {
                let (state, act) = state.timer(now, timers);
                *self = Client::NonInvite(state);
                act
            }
        }
    }

    /// What was to be sent could not be.
    #[must_use]
    pub fn transport_error(&mut self) -> Act {
        match *self {
            Client::Invite(state) => {
                let (state, act) = state.transport_error();
                *self = Client::Invite(state);
                act
            }
            Client::NonInvite(state) => {
                let (state, act) = state.transport_error();
                *self = Client::NonInvite(state);
                act
            }
        }
    }

    /// When [`Client::timer`] has to be called next.
    pub fn deadline(&self) -> Option<Time> {
        match self {
            Client::Invite(state) => state.deadline(),
            Client::NonInvite(state) => state.deadline(),
        }
    }

    /// Sends its request no more, but still takes what comes.
    pub fn hush(&mut self) {
        match self {
            Client::Invite(InviteClient::Calling { a, .. }) => *a = None,
            Client::NonInvite(NonInviteClient::Trying { e, .. }) => *e = None,
            Client::Invite(_) | Client::NonInvite(_) => {}
        }
    }

    /// Gives the transaction up without any further message.
    pub fn abandon(&mut self) {
        *self = match self {
            Client::Invite(_) => Client::Invite(InviteClient::Terminated),
            Client::NonInvite(_) => Client::NonInvite(NonInviteClient::Terminated),
        };
    }

    /// Whether no response has come yet.
    pub fn is_silent(&self) -> bool {
        matches!(
            self,
            Client::Invite(InviteClient::Calling { .. })
                | Client::NonInvite(NonInviteClient::Trying { .. })
        )
    }

    /// Whether no final response has come yet.
    pub fn is_pending(&self) -> bool {
        self.is_silent()
            || matches!(
                self,
                Client::Invite(InviteClient::Proceeding)
                    | Client::NonInvite(NonInviteClient::Proceeding { .. })
            )
    }

    /// Whether the transaction is over.
    pub fn is_terminated(&self) -> bool {
        matches!(
            self,
            Client::Invite(InviteClient::Terminated)
                | Client::NonInvite(NonInviteClient::Terminated)
        )
    }
}
