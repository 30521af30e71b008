//! Transactions (RFC 3261 s.17, RFC 6026, RFC 4320) and the response context of a stateful proxy (s.16).
pub mod client;
pub mod invite_client;
pub mod invite_server;
pub mod non_invite_client;
pub mod non_invite_server;
pub mod server;
#[cfg(test)]
mod testing;
pub mod timers;
pub mod wheel;

pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;
pub use timers::Timers;
