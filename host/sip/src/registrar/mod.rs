//! The registrar: what a REGISTER does to the contacts of an address of record. RFC 3261 10.3, RFC 3327 (Path), RFC 5626
//! section 6 (which contact is which, by instance and reg-id).
//!
//! A pure decision: the request, the contacts that are there, limits and `now` go in; the new contacts and the answer come
//! out. All or nothing: where one contact is refused, none changes. Keeping the contacts, and doing this for one address of
//! record at a time, is the store's. Whether the user may register at all is the script's (RFC 3261 10.3 steps 1, 3 to 5).
//!
//! ```
//! use std::time::Instant;
//! use switchhook_sip::flow::{FlowId, Source, Transport};
//! use switchhook_sip::message::Message;
//! use switchhook_sip::registrar::{Limits, Saved, address_of_record, save};
//! # let now = Instant::now();
//! let request = Message::parse("REGISTER sip:example.test SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:alice@example.test>;tag=1\r\n\
//!     To: <sip:alice@Example.TEST>\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\n\
//!     Contact: <sip:alice@192.0.2.1>;expires=600\r\n\r\n".into())?;
//! let source = Source {
//!     transport: Transport::Udp,
//!     remote: "192.0.2.1:5060".parse()?,
//!     local: "192.0.2.9:5060".parse()?,
//!     flow: FlowId::new(1),
//! };
//! assert_eq!(address_of_record(request.view()).unwrap(), "sip:alice@example.test");
//! let outcome = save(now, request.view(), &source, &[], &Limits::default());
//! assert_eq!(outcome.saved, Saved::Updated);
//! assert_eq!(outcome.bindings.unwrap()[0].uri(), b"sip:alice@192.0.2.1");
//! assert_eq!(outcome.answer.headers, [("Contact", "<sip:alice@192.0.2.1>;expires=600".to_owned())]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aor;
mod binding;
mod same;
mod save;

#[cfg(test)]
mod tests;

pub use aor::{address_of_record, canonical};
pub use binding::{Binding, MAX_TEXT, Marks, Parts};
pub use same::same_uri;
pub use save::{Limits, Outcome, Saved, save};
