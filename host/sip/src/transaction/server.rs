//! What a server transaction asks its owner to do, and the two machines behind one face (RFC 3261 s.17.2).

use super::invite_server::InviteServer;
use super::non_invite_server::NonInviteServer;
use super::timers::{Time, Timers};

/// What to do after a transition of a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Send the response that was given, and keep it for copies of the request.
    Send,
    /// Send the last response again.
    Resend,
    /// Build 100, send and keep it.
    Trying,
    /// The response that was given must not be sent.
    Refuse,
    /// Give the ACK to the transaction user.
    PassAck,
    /// Tell the transaction user that no ACK has come (Timer H).
    NoAck,
    /// Tell the transaction user that the response cannot be sent.
    Failed,
}

/// A server transaction of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Of an INVITE.
    Invite(InviteServer),
    /// Of any other request but ACK.
    NonInvite(NonInviteServer),
}

impl Server {
    /// A request has come and was handed to the transaction user.
    pub fn new(invite: bool, now: Time, timers: &Timers) -> Server {
        if invite {
            Server::Invite(InviteServer::new(now, timers))
        } else {
            Server::NonInvite(NonInviteServer::new(now, timers))
        }
    }

    /// A copy of the request has come.
    #[must_use]
    pub fn request(&mut self) -> Act {
        match *self {
            Server::Invite(state) => {
                let (state, act) = state.request();
                *self = Server::Invite(state);
                act
            }
            Server::NonInvite(state) => {
                let (state, act) = state.request();
                *self = Server::NonInvite(state);
                act
            }
        }
    }

    /// An ACK that matches has come.
    #[must_use]
    pub fn ack(&mut self, now: Time, reliable: bool, timers: &Timers) -> Act {
        match *self {
            Server::Invite(state) => {
                let (state, act) = state.ack(now, reliable, timers);
                *self = Server::Invite(state);
                act
            }
            Server::NonInvite(_) => Act::Nothing,
        }
    }

    /// The transaction user gives a response.
    #[must_use]
    pub fn respond(&mut self, status: u16, now: Time, reliable: bool, timers: &Timers) -> Act {
        match *self {
            Server::Invite(state) => {
                let (state, act) = state.respond(status, now, reliable, timers);
                *self = Server::Invite(state);
                act
            }
            Server::NonInvite(state) => {
                let (state, act) = state.respond(status, now, reliable, timers);
                *self = Server::NonInvite(state);
                act
            }
        }
    }

    /// Time has come to `now`.
    #[must_use]
    pub fn timer(&mut self, now: Time, timers: &Timers) -> Act {
        match *self {
            Server::Invite(state) => {
                let (state, act) = state.timer(now, timers);
                *self = Server::Invite(state);
                act
            }
            Server::NonInvite(state) => {
                let (state, act) = state.timer(now);
                *self = Server::NonInvite(state);
                act
            }
        }
    }

    /// A response could not be sent.
    #[must_use]
    pub fn transport_error(&mut self) -> Act {
        match *self {
            Server::Invite(state) => {
                let (state, act) = state.transport_error();
                *self = Server::Invite(state);
                act
            }
            Server::NonInvite(state) => {
                let (state, act) = state.transport_error();
                *self = Server::NonInvite(state);
                act
            }
        }
    }

    /// When [`Server::timer`] has to be called next.
    pub fn deadline(&self) -> Option<Time> {
        match self {
            Server::Invite(state) => state.deadline(),
            Server::NonInvite(state) => state.deadline(),
        }
    }

    /// Whether it is the transaction of an INVITE.
    pub fn is_invite(&self) -> bool {
        matches!(self, Server::Invite(_))
    }

    /// Whether no response went out yet.
    pub fn is_silent(&self) -> bool {
        matches!(
            self,
            Server::Invite(InviteServer::Proceeding { trying: Some(_) })
                | Server::NonInvite(NonInviteServer::Trying { .. })
        )
    }

    /// Whether no final response went out yet.
    pub fn is_pending(&self) -> bool {
        matches!(
            self,
            Server::Invite(InviteServer::Proceeding { .. })
                | Server::NonInvite(NonInviteServer::Trying { .. } | NonInviteServer::Proceeding)
        )
    }

    /// Whether a failure response to an INVITE is out and its ACK is still to come.
    pub fn awaits_ack(&self) -> bool {
        matches!(self, Server::Invite(InviteServer::Completed { .. }))
    }

    /// Whether a 2xx to INVITE went out and its copies may be asked for.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Server::Invite(InviteServer::Accepted { .. }))
    }

    /// Whether the transaction is over.
    pub fn is_terminated(&self) -> bool {
        matches!(
            self,
            Server::Invite(InviteServer::Terminated)
                | Server::NonInvite(NonInviteServer::Terminated)
        )
    }
}
