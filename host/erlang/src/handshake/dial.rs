//! The node that dials.

use bytes::Bytes;

use super::message::{Message, Status};
use super::{Failure, Ours, Peer, Step, agree};
use crate::cookie::Cookie;
use crate::name::NodeName;

/// A handshake that we began.
#[derive(Debug)]
pub struct Initiator {
    ours: Ours,
    dialled: NodeName,
    cookie: Cookie,
    challenge: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Our name went out.
    Name,
    /// We are let in; the peer's question is due.
    Status,
    /// Our answer and question went out.
    Reply(Peer),
}

impl Initiator {
    /// Begins: gives what to send first. `challenge` must be new and not to be guessed.
    pub fn new(ours: Ours, dialled: NodeName, cookie: Cookie, challenge: u32) -> (Self, Bytes) {
        let name = Message::Name {
            flags: ours.flags,
            creation: ours.creation,
            name: ours.name.clone(),
        };
        let initiator = Self {
            ours,
            dialled,
            cookie,
            challenge,
            state: State::Name,
        };
        (initiator, name.encode())
    }

    /// Takes the peer's next message.
    pub fn receive(mut self, bytes: &[u8]) -> Result<Step<Self>, Failure> {
        let message = Message::to_initiator(bytes)?;
        match (self.state, message) {
            (State::Name, Message::Status(status)) => {
                let send = match status {
                    Status::Ok | Status::OkSimultaneous => None,
                    // We would not dial if we had that connection: the peer has not noticed its end yet.
                    Status::Alive => Some(Message::Replace(true).encode()),
                    Status::Nok | Status::NotAllowed => return Err(Failure::Refused(status)),
                };
                self.state = State::Status;
                Ok(Step::On {
                    handshake: self,
                    send,
                })
            }
            (
                State::Status,
                Message::Challenge {
                    flags,
                    challenge,
                    creation,
                    name,
                },
            ) => {
                if name != self.dialled {
                    return Err(Failure::Name {
                        dialled: self.dialled,
                        answered: name,
                    });
                }
                let flags = agree(&name, self.ours.flags, flags)?;
                let reply = Message::Reply {
                    challenge: self.challenge,
                    digest: self.cookie.digest(challenge),
                };
                self.state = State::Reply(Peer {
                    name,
                    creation,
                    flags,
                });
                Ok(Step::On {
                    handshake: self,
                    send: Some(reply.encode()),
                })
            }
            (State::Reply(peer), Message::Ack { digest }) => {
                if !self.cookie.proves(self.challenge, &digest) {
                    return Err(Failure::Cookie(peer.name));
                }
                Ok(Step::Done { peer, send: None })
            }
            (state, message) => Err(Failure::Order {
                expected: match state {
                    State::Name => "a status",
                    State::Status => "a challenge",
                    State::Reply(_) => "an acknowledgement",
                },
                got: message.what(),
            }),
        }
    }
}
