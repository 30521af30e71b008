//! `script.*`: the guests and their generations.

use crate::admin::jsonrpc::Fault;
use crate::admin::registry::{Registry, optional, required};
use crate::daemon::Daemon;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use switchhook_engine::SwapError;
use switchhook_script::Script;

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct Swap {
    script: String,
    path: Option<PathBuf>,
    base64: Option<String>,
}

pub(super) fn add(registry: &mut Registry<Daemon>) {
    registry.add(
        "script.list",
        &[],
        "The scripts, the router first, with their generations.",
        |daemon: &Daemon, Nothing {}| {
            Ok(daemon
                .engine
                .scripts()
                .iter()
                .map(|script| describe(script))
                .collect::<Vec<_>>())
        },
    );
    let params = const {
        &[
            required("script", "its name"),
            optional(
                "path",
                "the new module's file, absolute, as the daemon sees it",
            ),
            optional("base64", "or its bytes"),
        ]
    };
    let doc = "Exchanges a script's code; running transactions keep theirs. A module that is refused changes nothing.";
    registry.add("script.swap", params, doc, |daemon: &Daemon, args: Swap| {
        swap(daemon, &args)
    });
}

fn swap(daemon: &Daemon, args: &Swap) -> Result<Value, Fault> {
    let wasm = match (&args.path, &args.base64) {
        (Some(path), None) => read(path)?,
        (None, Some(text)) => STANDARD
            .decode(text)
            .map_err(|error| Fault::invalid_params(format!("`base64`: {error}")))?,
        _ => return Err(Fault::invalid_params("expected either `path` or `base64`")),
    };
    let swapped = daemon
        .engine
        .swap(&args.script, &wasm)
        .map_err(|error| match error {
            SwapError::Unknown(_) => {
                let names: Vec<_> = daemon
                    .engine
                    .scripts()
                    .iter()
                    .map(|script| script.name())
                    .collect();
                Fault::not_found(format!("{error}; there is {}", names.join(", ")))
            }
            SwapError::Load(_) => Fault::refused(format!("script `{}`: {error}", args.script)),
        })?;
    daemon.script_changed();
    Ok(json!({ "script": args.script, "old": swapped.old.number(), "new": swapped.new.number() }))
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    if !path.is_absolute() {
        return Err(Fault::invalid_params(format!(
            "expected an absolute path, found {}",
            path.display()
        )));
    }
    std::fs::read(path).map_err(|error| Fault::not_found(format!("{}: {error}", path.display())))
}

fn describe(script: &Script) -> Value {
    let generations = script.generations();
    let current = script.current();
    let generation = |generation: &switchhook_script::Generation| {
        json!({
            "generation": generation.id().number(),
            "hash": generation.hash().to_string(),
            "instances": generation.instances(),
            "transactions": generation.pins(),
            "draining": generation.draining_since().map(|since| since.elapsed().as_secs()),
        })
    };
    let grants: Vec<_> = script
        .settings()
        .grants
        .iter()
        .map(switchhook_script::Interface::name)
        .collect();
    let mut described = generation(&current);
    if let Value::Object(described) = &mut described {
        described.remove("draining");
        described.insert("name".to_owned(), script.name().into());
        described.insert("grants".to_owned(), grants.into());
        let old = generations.iter().filter(|old| old.id() != current.id());
        described.insert(
            "draining".to_owned(),
            old.map(|old| generation(old)).collect(),
        );
    }
    described
}
