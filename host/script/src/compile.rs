//! From a file's bytes to compiled code: size checked, core modules made into components, on a thread of its own, cached.
//!
//! Never on a lane: Cranelift takes tens of milliseconds for a Rust guest and half a minute for Python. A compilation
//! can't be stopped; one that takes longer than allowed is left behind and its result thrown away.

use std::sync::mpsc;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::Cache;
use crate::error::{LoadError, message};
use crate::generation::Hash;
use crate::limits::Limits;

/// Compiled code, and the hash of what it was made from.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    pub(crate) hash: Hash,
}

/// Gives the code of a component or of a core module that carries the contract's metadata.
pub(crate) fn compile(
    engine: &Engine,
    wasm: &[u8],
    limits: &Limits,
    cache: Option<&Cache>,
) -> Result<Compiled, LoadError> {
    if wasm.len() > limits.code {
        return Err(LoadError::TooLarge {
            size: wasm.len(),
            limit: limits.code,
        });
    }
    let hash = Hash(Sha256::digest(wasm).into());
    if let Some(component) = cache.and_then(|cache| cache.get(engine, hash)) {
        return Ok(Compiled { component, hash });
    }
    let (done, result) = mpsc::sync_channel(1);
    let (owned, engine_) = (wasm.to_vec(), engine.clone());
    std::thread::Builder::new()
        .name("guest-compiler".into())
        .spawn(move || {
            // Nobody waits any more if this took too long.
            let _ = done.send(build(&engine_, owned));
        })
        .map_err(|error| LoadError::Limits(format!("no thread to compile on: {error}")))?;
    let component = match result.recv_timeout(limits.compile) {
        Ok(component) => component?,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            return Err(LoadError::CompileTimeout(limits.compile));
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            return Err(LoadError::Invalid("the compiler gave up".into()));
        }
    };
    if let Some(cache) = cache {
        cache.put(engine, hash, &component);
    }
    Ok(Compiled { component, hash })
}

fn build(engine: &Engine, wasm: Vec<u8>) -> Result<Component, LoadError> {
    let wasm = if is_core_module(&wasm) {
        componentize(&wasm)?
    } else {
        wasm
    };
    Component::new(engine, &wasm).map_err(|error| LoadError::Invalid(message(&error)))
}

/// The preamble tells: a core module has version 1 and layer 0, a component layer 1.
fn is_core_module(wasm: &[u8]) -> bool {
    wasm.starts_with(b"\0asm\x01\0\0\0")
}

fn componentize(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let invalid = |error: anyhow::Error| LoadError::Invalid(format!("as a core module: {error:#}"));
    wit_component::ComponentEncoder::default()
        .module(module)
        .map_err(invalid)?
        .validate(true)
        .encode()
        .map_err(invalid)
}
