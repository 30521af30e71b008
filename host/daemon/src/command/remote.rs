//! The commands that ask a running daemon: `rpc`, `scripts`, `swap`.

use super::print;
use crate::admin::client::Client;
use crate::cli::Daemon;
use crate::config;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// `switchhook rpc METHOD [ARGS...]`.
pub(crate) fn rpc(
    daemon: &Daemon,
    method: &str,
    args: &[String],
    all: bool,
    compact: bool,
) -> Result<()> {
    let mut client = Client::connect(&socket(daemon)?)?;
    let params = params(args)?;
    if !all {
        let result = call(&mut client, method, &params)?;
        return print(&shown(&result, compact)?);
    }
    let mut params = named(&mut client, method, params)?;
    loop {
        let page = call(&mut client, method, &params.clone().into())?;
        let Some(items) = page.get("items").and_then(Value::as_array) else {
            bail!("{method} gives no list of pages; leave --all out");
        };
        let mut lines = String::new();
        for item in items {
            writeln!(lines, "{item}")?;
        }
        print(&lines)?;
        match page.get("next") {
            Some(Value::Null) | None => return Ok(()),
            Some(next) => _ = params.insert("after".to_owned(), next.clone()),
        }
    }
}

/// `switchhook rpc`: what can be called, a line each.
pub(crate) fn methods(daemon: &Daemon) -> Result<()> {
    let methods = call(
        &mut Client::connect(&socket(daemon)?)?,
        "core.methods",
        &json!([]),
    )?;
    let methods = methods.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |method: &Value, name: &str| {
        method
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let rows: Vec<_> = methods
        .iter()
        .map(|method| [text(method, "usage"), text(method, "doc")])
        .collect();
    print(&table(&rows)?)
}

/// Columns as wide as their widest cell.
fn table<const N: usize>(rows: &[[String; N]]) -> Result<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for row in rows {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(table, "{}", cells.join("  ").trim_end())?;
    }
    Ok(table)
}

/// `switchhook scripts`: a table.
pub(crate) fn scripts(daemon: &Daemon) -> Result<()> {
    let list = call(
        &mut Client::connect(&socket(daemon)?)?,
        "script.list",
        &json!([]),
    )?;
    let mut rows = vec![
        [
            "NAME",
            "GENERATION",
            "HASH",
            "INSTANCES",
            "TRANSACTIONS",
            "DRAINING",
        ]
        .map(str::to_owned),
    ];
    for script in list.as_array().map(Vec::as_slice).unwrap_or_default() {
        let cell = |name: &str| match script.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => "-".to_owned(),
            Some(other) => other.to_string(),
        };
        let draining = script
            .get("draining")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let draining: Vec<_> = draining
            .iter()
            .filter_map(|old| old.get("generation"))
            .map(Value::to_string)
            .collect();
        let draining = if draining.is_empty() {
            "-".to_owned()
        } else {
            draining.join(",")
        };
        // Enough of the hash to compare with that of a file: sha256sum FILE.
        let hash = cell("hash").chars().take(16).collect();
        rows.push([
            cell("name"),
            cell("generation"),
            hash,
            cell("instances"),
            cell("transactions"),
            draining,
        ]);
    }
    print(&table(&rows)?)
}

/// `switchhook swap SCRIPT FILE.wasm`.
pub(crate) fn swap(daemon: &Daemon, script: &str, file: &Path) -> Result<()> {
    let shown = file.display();
    let path = std::fs::canonicalize(file).with_context(|| format!("can't read {shown}"))?;
    let path = path
        .to_str()
        .with_context(|| format!("{shown}: the path is not UTF-8"))?;
    let result = call(
        &mut Client::connect(&socket(daemon)?)?,
        "script.swap",
        &json!({ "script": script, "path": path }),
    )?;
    let generation = |name| result.get(name).cloned().unwrap_or(Value::Null);
    print(&format!(
        "{script}: generation {} -> {}\n",
        generation("old"),
        generation("new")
    ))
}

fn socket(daemon: &Daemon) -> Result<PathBuf> {
    match (&daemon.socket, &daemon.config) {
        (Some(socket), _) => Ok(socket.strip_prefix("unix:").unwrap_or(socket).to_path_buf()),
        (None, Some(file)) => {
            let loaded = config::load(file, &[])?;
            loaded
                .config
                .admin_socket()
                .with_context(|| format!("admin.listen is off in {}", file.display()))
        }
        (None, None) => Ok(crate::dirs::admin_socket()),
    }
}

fn call(client: &mut Client, method: &str, params: &Value) -> Result<Value> {
    client
        .call(method, params)?
        .map_err(|fault| anyhow!("{method}: {} ({})", fault.message, fault.code))
}

fn shown(result: &Value, compact: bool) -> Result<String> {
    let mut text = if compact {
        serde_json::to_string(result)?
    } else {
        serde_json::to_string_pretty(result)?
    };
    text.push('\n');
    Ok(text)
}

/// Arguments in order, or by name where each has the form `name=value`.
fn params(args: &[String]) -> Result<Value> {
    let named: Vec<_> = args
        .iter()
        .filter_map(|arg| arg.split_once('=').filter(|(name, _)| is_name(name)))
        .collect();
    if named.is_empty() {
        return Ok(args.iter().map(|arg| value(arg)).collect());
    }
    if named.len() < args.len() {
        bail!(
            "some arguments are name=value and others are not; give all by name, or quote a plain text that has a `=`: '\"a=b\"'"
        );
    }
    Ok(named
        .into_iter()
        .map(|(name, text)| (name.to_owned(), value(text)))
        .collect::<Map<_, _>>()
        .into())
}

/// Arguments by name, so that `after` can be among them; the daemon knows the names.
fn named(client: &mut Client, method: &str, params: Value) -> Result<Map<String, Value>> {
    let values = match params {
        Value::Object(named) => return Ok(named),
        Value::Array(values) => values,
        _ => Vec::new(),
    };
    let methods = call(client, "core.methods", &json!([]))?;
    let known = methods.as_array().and_then(|methods| {
        methods
            .iter()
            .find(|known| known.get("name").is_some_and(|name| name == method))
    });
    let names = known
        .and_then(|known| known.get("params"))
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let names = names
        .iter()
        .filter_map(|param| param.get("name").and_then(Value::as_str));
    Ok(names.map(str::to_owned).zip(values).collect())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'-')
}

/// JSON where it is clearly that and nothing is lost by reading it (`007` and `1.50` stay text), else plain text.
fn value(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value)
            if !value.is_number()
                || value
                    .as_i64()
                    .is_some_and(|number| number.to_string() == text) =>
        {
            value
        }
        _ => text.into(),
    }
}
