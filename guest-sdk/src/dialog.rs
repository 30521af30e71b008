//! Calls that are tracked, from their INVITE to their end; Kamailio's `dialog` module.
//!
//! [`Request::manage_dialog`](crate::Request::manage_dialog) begins it, with [`Request::record_route`](crate::Request::record_route), so that the requests of
//! the dialog come here. In those, [`Request::loose_route`](crate::Request::loose_route) finds the dialog again. Variables, timeout and profiles are
//! those of *the current dialog*: in every route of the INVITE's transaction, in requests within the dialog, in its event routes. They
//! are seen at every node that shares dialogs.
//!
//! ```
//! use switchhook_sdk::prelude::*;
//!
//! #[switchhook_sdk::script]
//! mod routes {
//!     #[request_route]
//!     fn main(req: &mut Request) -> Outcome {
//!         if req.in_dialog() {
//!             req.loose_route()?;
//!             return req.relay();
//!         }
//!         let caller = req.from().uri().as_str().to_owned();
//!         if dialog::profile_size("caller", Some(&caller)) >= 2 {
//!             return req.reply(486, "Too Many Calls");
//!         }
//!         req.manage_dialog()?;
//!         dialog::set_profile("caller", Some(&caller))?;
//!         dialog::set_var("account", "4711")?;
//!         dialog::set_timeout(7200)?;
//!         req.record_route()?;
//!         req.relay()
//!     }
//!
//!     #[event_route("dialog:end")]
//!     fn ended(call: &dialog::Info) -> Outcome {
//!         let account = dialog::var("account")?.unwrap_or_default();
//!         log::info!("{account}: {} called {} for {} s", call.from_uri, call.to_uri, call.duration);
//!         Ok(Done)
//!     }
//! }
//!
//! use switchhook_sdk::testkit::{Site, request};
//! use std::time::Duration;
//!
//! # fn main() {
//! let site = Site::new(routes::Script, "{}");
//! let mut call = site.receive(request("INVITE", "sip:bob@192.0.2.7").from("sip:alice@example.test"));
//! call.replies(200);
//! site.pass(Duration::from_secs(42));
//! let bye = call.within("BYE");
//! site.receive(bye);
//! assert_eq!(site.log(), ["info: 4711: sip:alice@example.test called sip:bob@192.0.2.7 for 42 s"]);
//! # }
//! ```

use crate::error::{Error, Result};
use crate::host::dialog;

pub use dialog::{Info, State};

/// The current dialog; `is_known_dlg`. A request within a dialog that [`loose_route`](crate::Request::loose_route) did not find is looked
/// for by its tags.
pub fn current() -> Option<Info> {
    dialog::current()
}

/// The dialog that goes on with that Call-ID and these tags, in either order.
pub fn find(call_id: &str, from_tag: &str, to_tag: &str) -> Option<Info> {
    dialog::find(call_id, from_tag, to_tag)
}

/// A variable of the current dialog; `$dlg_var(name)`.
pub fn var(name: &str) -> Result<Option<String>> {
    dialog::get_var(name).map_err(Error::host)
}

/// Sets a variable of the current dialog.
pub fn set_var(name: &str, value: impl AsRef<str>) -> Result<()> {
    dialog::set_var(name, Some(value.as_ref())).map_err(Error::host)
}

/// Removes a variable of the current dialog.
pub fn remove_var(name: &str) -> Result<()> {
    dialog::set_var(name, None).map_err(Error::host)
}

/// Sets how many seconds the current dialog may last, after its answer or from now; `dlg_set_timeout`.
pub fn set_timeout(seconds: u32) -> Result<()> {
    dialog::set_timeout(seconds).map_err(Error::host)
}

/// Sets whether both sides of the current dialog are sent a BYE when its time is over; `$dlg_ctx(timeout_bye) = 1`.
pub fn set_bye_on_timeout(bye: bool) -> Result<()> {
    dialog::set_bye_on_timeout(bye).map_err(Error::host)
}

/// Ends the current dialog: both sides are sent a BYE; `dlg_bye("all")`. Its `dialog:end` follows.
pub fn terminate() -> Result<()> {
    dialog::terminate().map_err(Error::host)
}

/// Counts the current dialog in a profile while it goes on, under a value where one is given; `set_dlg_profile`.
pub fn set_profile(profile: &str, value: Option<&str>) -> Result<()> {
    dialog::set_profile(profile, value).map_err(Error::host)
}

/// Takes the current dialog out of a profile; tells whether it was in it; `unset_dlg_profile`.
pub fn unset_profile(profile: &str, value: Option<&str>) -> Result<bool> {
    dialog::unset_profile(profile, value).map_err(Error::host)
}

/// Whether the current dialog is in a profile; `is_in_profile`.
pub fn in_profile(profile: &str, value: Option<&str>) -> Result<bool> {
    dialog::in_profile(profile, value).map_err(Error::host)
}

/// How many dialogs are in a profile, or in that value of it; `get_profile_size`.
pub fn profile_size(profile: &str, value: Option<&str>) -> u32 {
    dialog::profile_size(profile, value)
}
