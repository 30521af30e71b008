//! The node that is dialled.

use bytes::Bytes;

use super::message::{Message, Status};
use super::{Failure, Ours, Peer, Step, agree};
use crate::cookie::Cookie;
use crate::flags::Flags;
use crate::name::NodeName;

/// A handshake that a peer began.
#[derive(Debug)]
pub struct Acceptor {
    ours: Ours,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The peer's name is due.
    Name,
    /// We said that there is a connection already.
    Alive(Asked, Proof),
    /// Our question went out.
    Challenge(Asked, Proof),
}

/// What the peer must prove, and by what.
#[derive(Debug)]
struct Proof {
    cookie: Cookie,
    challenge: u32,
}

/// Who wants in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its name, as it says.
    pub name: NodeName,
    creation: u32,
    flags: Flags,
    /// It sent the form before OTP 23 and owes half of its flags.
    owes: bool,
}

/// Whether a peer is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Yes,
    /// Yes; the connection that we are opening to it is given up.
    YesInsteadOfOurs,
    /// No: we are opening one to it, and that one goes first.
    OursGoesFirst,
    /// No.
    No,
    /// There is a connection to it already: only if that one is dead.
    IfDead,
}

impl Verdict {
    const fn status(self) -> Status {
        match self {
            Self::Yes => Status::Ok,
            Self::YesInsteadOfOurs => Status::OkSimultaneous,
            Self::OursGoesFirst => Status::Nok,
            Self::No => Status::NotAllowed,
            Self::IfDead => Status::Alive,
        }
    }
}

impl Acceptor {
    /// Waits for a name.
    pub fn new(ours: Ours) -> Self {
        Self {
            ours,
            state: State::Name,
        }
    }

    /// True until a name was let in or not.
    pub(crate) fn is_waiting_for_name(&self) -> bool {
        matches!(self.state, State::Name)
    }

    /// Takes the first message: who wants in. [`Acceptor::answer`] says whether.
    pub fn name(&self, bytes: &[u8]) -> Result<Asked, Failure> {
        let (name, flags, creation, owes) = match Message::to_acceptor(bytes)? {
            Message::Name {
                flags,
                creation,
                name,
            } => (name, flags, creation, false),
            Message::OldName { flags, name } => (name, flags, 0, true),
            other => {
                return Err(Failure::Order {
                    expected: "a name",
                    got: other.what(),
                });
            }
        };
        Ok(Asked {
            name,
            creation,
            flags,
            owes,
        })
    }

    /// Lets a peer in, or not: gives what to send, and the handshake where it goes on. A peer that lacks what we need is
    /// refused whatever the verdict. `challenge` must be new and not to be guessed.
    pub fn answer(
        mut self,
        asked: Asked,
        verdict: Verdict,
        cookie: Cookie,
        challenge: u32,
    ) -> (Vec<Bytes>, Result<Self, Failure>) {
        let unfit = agree(&asked.name, self.ours.flags, asked.flags).err();
        let status = if unfit.is_some() {
            Status::NotAllowed
        } else {
            verdict.status()
        };
        let mut send = vec![Message::Status(status).encode()];
        let proof = Proof { cookie, challenge };
        let result = match (unfit, status) {
            (Some(failure), _) => Err(failure),
            (None, Status::Ok | Status::OkSimultaneous) => {
                send.push(self.ours.challenge(challenge));
                self.state = State::Challenge(asked, proof);
                Ok(self)
            }
            (None, Status::Alive) => {
                self.state = State::Alive(asked, proof);
                Ok(self)
            }
            (None, Status::Nok | Status::NotAllowed) => Err(Failure::Refusing {
                name: asked.name,
                status,
            }),
        };
        (send, result)
    }

    /// Takes a later message.
    pub fn receive(mut self, bytes: &[u8]) -> Result<Step<Self>, Failure> {
        let message = Message::to_acceptor(bytes)?;
        match (self.state, message) {
            (State::Alive(asked, proof), Message::Replace(true)) => {
                let send = self.ours.challenge(proof.challenge);
                self.state = State::Challenge(asked, proof);
                Ok(Step::On {
                    handshake: self,
                    send: Some(send),
                })
            }
            (State::Alive(asked, _), Message::Replace(false)) => Err(Failure::Refusing {
                name: asked.name,
                status: Status::Alive,
            }),
            (State::Challenge(mut asked, proof), Message::Complement { flags, creation })
                if asked.owes =>
            {
                asked.owes = false;
                asked.creation = creation;
                asked.flags = asked.flags | flags;
                self.state = State::Challenge(asked, proof);
                Ok(Step::On {
                    handshake: self,
                    send: None,
                })
            }
            (State::Challenge(asked, proof), Message::Reply { challenge, digest })
                if !asked.owes =>
            {
                if !proof.cookie.proves(proof.challenge, &digest) {
                    return Err(Failure::Cookie(asked.name));
                }
                let ack = Message::Ack {
                    digest: proof.cookie.digest(challenge),
                };
                Ok(Step::Done {
                    peer: Peer {
                        flags: agree(&asked.name, self.ours.flags, asked.flags)?,
                        name: asked.name,
                        creation: asked.creation,
                    },
                    send: Some(ack.encode()),
                })
            }
            (state, message) => Err(Failure::Order {
                expected: match state {
                    State::Name => "a name",
                    State::Alive(..) => "an answer to `alive`",
                    State::Challenge(asked, _) if asked.owes => "a complement",
                    State::Challenge(..) => "a challenge's reply",
                },
                got: message.what(),
            }),
        }
    }
}

impl Ours {
    fn challenge(&self, challenge: u32) -> Bytes {
        let message = Message::Challenge {
            flags: self.flags,
            challenge,
            creation: self.creation,
            name: self.name.clone(),
        };
        message.encode()
    }
}
