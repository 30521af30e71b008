//! Building guests: target/guests/NAME.wasm for each folder of examples/, tests/guests/ and host/xtask/bench/.
//!
//! The language is told by what is in the folder: a Cargo.toml is Rust, a *.c file is C, a *.js file is JavaScript. Rust and C
//! guests are core modules with their world inside (the host makes the component); JavaScript comes out as a component.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{self, output, run};
use crate::wasm::{TARGET, Toolchain};
use crate::{tools, workspace};

/// A folder that makes one guest.
pub(crate) struct Guest {
    /// The folder's name, and the module's.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) dir: PathBuf,
    language: Language,
}

enum Language {
    Rust,
    C(Vec<PathBuf>),
    JavaScript(PathBuf),
}

/// Every guest of the workspace, by name.
pub(crate) fn all() -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for parent in ["examples", "tests/guests", "host/xtask/bench"] {
        let Ok(entries) = fs::read_dir(workspace::root().join(parent)) else {
            continue;
        };
        for entry in entries {
            let dir = entry?.path();
            if let (Some(language), Some(name)) = (Language::of(&dir), dir.file_name()) {
                guests.push(Guest {
                    name: name.to_string_lossy().into_owned(),
                    dir,
                    language,
                });
            }
        }
    }
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(guests)
}

impl Guest {
    /// Whether it is a Rust crate.
    pub(crate) fn is_rust(&self) -> bool {
        matches!(self.language, Language::Rust)
    }
}

impl Language {
    fn of(dir: &Path) -> Option<Language> {
        if dir.join("Cargo.toml").is_file() {
            return Some(Language::Rust);
        }
        let mut files: Vec<PathBuf> = fs::read_dir(dir)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        files.sort();
        let of_kind = |kind: &str| {
            files
                .iter()
                .filter(|file| file.extension().is_some_and(|k| k == kind))
                .cloned()
                .collect::<Vec<_>>()
        };
        if let Some(script) = of_kind("js").into_iter().next() {
            return Some(Language::JavaScript(script));
        }
        let sources = of_kind("c");
        (!sources.is_empty()).then_some(Language::C(sources))
    }
}

/// Build those named (all, where none is) and give their files.
pub(crate) fn build(names: &[String]) -> Result<Vec<PathBuf>> {
    let guests = all()?;
    for name in names {
        ensure!(
            guests.iter().any(|guest| guest.name == *name),
            "there is no guest {name} in examples/, tests/guests/ or host/xtask/bench/"
        );
    }
    let out = workspace::guests();
    fs::create_dir_all(&out)?;
    let mut toolchain = None;
    let mut built = Vec::new();
    for guest in guests
        .iter()
        .filter(|guest| names.is_empty() || names.contains(&guest.name))
    {
        let file = out.join(format!("{}.wasm", guest.name));
        let from = workspace::short(&guest.dir);
        match &guest.language {
            Language::Rust => {
                let toolchain = match &mut toolchain {
                    Some(ready) => ready,
                    none => none.insert(Toolchain::ready()?),
                };
                rust(toolchain, &guest.dir, &file)
            }
            Language::C(sources) => c(&guest.dir, sources, &file),
            Language::JavaScript(script) => javascript(script, &file),
        }
        .with_context(|| format!("cannot build the guest {from}"))?;
        eprintln!(
            "guest {from}: {} ({} KiB)",
            workspace::short(&file),
            fs::metadata(&file)?.len().div_ceil(1024)
        );
        built.push(file);
    }
    Ok(built)
}

/// Small and fast, whichever workspace the guest is of; the names of functions stay, for backtraces.
const PROFILE: &[&str] = &[
    "profile.release.opt-level=3",
    "profile.release.lto='fat'",
    "profile.release.codegen-units=1",
    "profile.release.panic='abort'",
    "profile.release.strip='debuginfo'",
];

fn rust(toolchain: &Toolchain, dir: &Path, file: &Path) -> Result<()> {
    let mut cargo = toolchain.cargo();
    cargo.args([
        "build",
        "--quiet",
        "--release",
        "--target",
        TARGET,
        "--message-format=json-render-diagnostics",
        "--manifest-path",
    ]);
    cargo
        .arg(dir.join("Cargo.toml"))
        .args(PROFILE.iter().flat_map(|setting| ["--config", *setting]))
        .arg("--target-dir")
        .arg(workspace::target().join(toolchain.name()));
    let out = cargo
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", run::line(&cargo)))?;
    ensure!(
        out.status.success(),
        "{} ended with {}",
        run::line(&cargo),
        out.status
    );
    let messages = String::from_utf8_lossy(&out.stdout);
    // of each artifact's message only the file names matter here: strings that end in .wasm
    let modules: Vec<&str> = messages
        .lines()
        .filter(|line| line.contains("\"compiler-artifact\""))
        .flat_map(|line| line.split('"'))
        .filter(|text| text.ends_with(".wasm"))
        .collect();
    match modules.as_slice() {
        [module] => replace(Path::new(module), file),
        [] => bail!("its crate makes no .wasm: it needs crate-type = [\"cdylib\"]"),
        many => bail!("its crate makes more than one .wasm: {}", many.join(", ")),
    }
}

fn c(dir: &Path, sources: &[PathBuf], file: &Path) -> Result<()> {
    let sdk = workspace::root().join("guest-sdk/c");
    let mut inputs = sources.to_vec();
    for entry in fs::read_dir(&sdk).with_context(|| format!("no {}", workspace::short(&sdk)))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|kind| kind == "c" || kind == "o")
        {
            inputs.push(path);
        }
    }
    inputs.sort();
    let partial = file.with_extension("partial");
    let mut zig = Command::new(tools::python()?);
    // no C library: guest-sdk/c/runtime.c is all that is needed, and WASI would be a grant that nobody gave
    zig.args([
        "-m",
        "ziglang",
        "cc",
        "-target",
        "wasm32-freestanding",
        "-nostdlib",
        "-ffreestanding",
    ]);
    zig.args([
        "-Wl,--no-entry",
        "-Os",
        "-g0",
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Wno-unused-parameter",
    ]);
    zig.env("ZIG_GLOBAL_CACHE_DIR", workspace::target().join("zig"))
        .env("ZIG_LOCAL_CACHE_DIR", workspace::target().join("zig"));
    zig.arg("-isystem")
        .arg(sdk.join("include"))
        .arg("-I")
        .arg(dir)
        .arg("-I")
        .arg(&sdk)
        .args(&inputs)
        .arg("-o")
        .arg(&partial);
    run(&mut zig)?;
    Ok(fs::rename(partial, file)?)
}

fn javascript(script: &Path, file: &Path) -> Result<()> {
    let partial = file.with_extension("partial");
    let world = fs::read_to_string(script)?;
    let world = world.lines().find_map(|line| {
        line.trim_start_matches("//")
            .trim()
            .strip_prefix("world: ")
            .map(str::to_owned)
    });
    let world =
        world.context("its first lines do not say which world it is for (`// world: script`)")?;
    let mut qjs = tools::componentize_qjs()?;
    qjs.args(["--sync", "--stub-wasi", "--wit"])
        .arg(workspace::root().join("wit"))
        .args(["--world", &world, "--js"])
        .arg(script);
    qjs.arg("--output").arg(&partial);
    output(&mut qjs)?;
    Ok(fs::rename(partial, file)?)
}

/// Put a new file in another's place at once: a daemon that has the old one mapped keeps it.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let partial = to.with_extension("partial");
    fs::copy(from, &partial).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(fs::rename(partial, to)?)
}
