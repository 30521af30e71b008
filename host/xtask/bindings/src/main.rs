//! Writes the guest bindings of wit/ into a folder: `xtask-bindings WIT OUT`.
//!
//! Owns: which worlds and options the committed bindings are made with. `cargo xtask bindings` calls it and compares or
//! copies. A crate of its own, because the generators are slow to build and only that task needs them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};

/// Rust: every route, its `export!` macro public, so that the SDK's macro can call it from a script's crate.
const RUST_WORLD: &str = "script";
/// C: a world small enough that a guest defines all of its exports.
const C_WORLD: &str = "router";

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (wit, out) = args
        .next()
        .zip(args.next())
        .context("usage: xtask-bindings WIT OUT")?;

    let rust = wit_bindgen_rust::Opts {
        format: true,
        pub_export_macro: true,
        generate_all: true,
        ..Default::default()
    };
    for (_, bytes) in generate(&wit, RUST_WORLD, &mut rust.build())?.iter() {
        write(&out.join("guest-sdk/src/bindings.rs"), bytes)?;
    }
    for (name, bytes) in generate(
        &wit,
        C_WORLD,
        wit_bindgen_c::Opts::default().build().as_mut(),
    )?
    .iter()
    {
        write(&out.join("guest-sdk/c").join(name), bytes)?;
    }
    Ok(())
}

fn generate(wit: &Path, world: &str, generator: &mut dyn WorldGenerator) -> Result<Files> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_path(wit)
        .with_context(|| format!("cannot read {}", wit.display()))?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files)?;
    Ok(files)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
