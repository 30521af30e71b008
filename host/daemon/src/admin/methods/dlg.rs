//! `dlg.*`: the calls that are tracked, as Kamailio's dialog.

use crate::admin::jsonrpc::Fault;
use crate::admin::page::{Page, Paged};
use crate::admin::registry::{Registry, optional, required};
use crate::daemon::Daemon;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Instant;
use switchhook_script::uac::Ending;
use switchhook_sip::dialog::{Id, route_param};
use switchhook_store::dialogs::dialog::{Dialog, Leg};

#[derive(Deserialize)]
struct List {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct Profile {
    profile: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct Name {
    h_entry: u32,
    h_id: u32,
}

#[derive(Deserialize)]
struct Call {
    call_id: String,
    from_tag: String,
    to_tag: String,
}

#[derive(Deserialize)]
struct Nothing {}

pub(super) fn add(registry: &mut Registry<Daemon>) {
    let params = const {
        &[
            optional("after", "the `next` of the page before"),
            optional("limit", "dialogs of a page, 1000 without it"),
        ]
    };
    registry.add(
        "dlg.list",
        params,
        "A page of the calls that are tracked: {items, next}.",
        |daemon: &Daemon, args: List| list(daemon, &args),
    );
    let params = const {
        &[
            required("h_entry", "as dlg.list has it"),
            required("h_id", "as dlg.list has it"),
        ]
    };
    registry.add(
        "dlg.end_dlg",
        params,
        "Ends a call: sends both sides a BYE.",
        |daemon: &Daemon, Name { h_entry, h_id }| {
            end(
                daemon,
                Id {
                    entry: h_entry,
                    number: h_id,
                },
            )
        },
    );
    let params = const {
        &[
            required("call_id", "its Call-ID"),
            required("from_tag", "the caller's tag"),
            required("to_tag", "the tag of who was called"),
        ]
    };
    registry.add(
        "dlg.terminate_dlg",
        params,
        "Ends a call, named by Call-ID and tags: sends both sides a BYE.",
        |daemon: &Daemon, call: Call| {
            let dialogs = &daemon.services.dialogs;
            let found = dialogs.find(&call.call_id, &call.from_tag, &call.to_tag);
            let (id, _) = found.ok_or_else(|| Fault::not_found("there is no such dialog"))?;
            end(daemon, id)
        },
    );
    let params = const {
        &[
            required("profile", "its name"),
            optional("value", "a value of it; all without it"),
        ]
    };
    registry.add(
        "dlg.profile_get_size",
        params,
        "How many calls are in a profile, or in a value of it.",
        |daemon: &Daemon, Profile { profile, value }| {
            Ok(daemon.services.dialogs.size(&profile, value.as_deref()))
        },
    );
    registry.add(
        "dlg.profiles",
        const { &[] },
        "Every profile with how many calls are in it.",
        |daemon: &Daemon, Nothing {}| {
            let sizes = daemon.services.dialogs.profiles().into_iter();
            let sizes = sizes.map(|(name, size)| (name, size.into()));
            Ok(sizes.collect::<Map<String, Value>>())
        },
    );
}

/// Has a call ended by a BYE to each side.
fn end(daemon: &Daemon, id: Id) -> Result<(), Fault> {
    let dialogs = &daemon.services.dialogs;
    let found = dialogs.read(id, |dialog| {
        dialog.goes_on().then(|| dialog.call_id.to_string())
    });
    let found = found.ok_or_else(|| Fault::not_found("there is no such dialog"))?;
    let call_id = found.ok_or_else(|| Fault::refused("it is not answered, or has ended"))?;
    let uac = daemon.services.uac.get();
    let uac = uac.ok_or_else(|| Fault::refused("the engine has not begun"))?;
    let ended = uac.end_dialog(&call_id, id, Ending::Ordered);
    ended.map_err(|refusal| Fault::refused(refusal.message))
}

fn list(daemon: &Daemon, args: &List) -> Result<Paged, Fault> {
    let now = Instant::now();
    let dialogs = &daemon.services.dialogs;
    let page = Page::gather(args.after.as_deref(), args.limit, |part, page| {
        dialogs.each_of_part(part, |dialog| {
            page.slot(&route_param(dialog.id), || shape(dialog, now));
        })
    })?;
    Ok(page.finish(|_, dialog| dialog))
}

fn shape(dialog: &Dialog, now: Instant) -> Value {
    let since = |then: Instant| now.saturating_duration_since(then).as_secs();
    let vars: Map<String, Value> = dialog
        .vars
        .iter()
        .map(|(name, value)| (name.to_string(), Value::from(&**value)))
        .collect();
    let profiles = dialog.profiles.iter();
    let profiles: Vec<_> = profiles
        .map(|m| json!({ "name": m.profile, "value": m.value }))
        .collect();
    json!({
        "id": route_param(dialog.id),
        "h_entry": dialog.id.entry,
        "h_id": dialog.id.number,
        "call_id": dialog.call_id,
        "from_uri": dialog.from_uri,
        "to_uri": dialog.to_uri,
        "req_uri": dialog.req_uri,
        "state": dialog.state.number(),
        "here": dialog.here,
        "age": since(dialog.begun),
        "duration": dialog.answered.map_or(0, since),
        "lifetime": dialog.lifetime.as_secs(),
        "caller": leg(&dialog.caller),
        "callee": leg(&dialog.callee),
        "vars": vars,
        "profiles": profiles,
    })
}

fn leg(leg: &Leg) -> Value {
    json!({
        "tag": leg.tag,
        "cseq": leg.cseq,
        "route_set": leg.route_set,
        "contact": leg.contact,
    })
}
