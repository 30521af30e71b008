//! A Rust toolchain for wasm32-unknown-unknown.
//!
//! Owns: the choice of one. An installed target is used as it is; else, on Debian, one is put together from Debian's rust-web
//! packages (the compiler that Debian builds its browsers with), unpacked privately: the packages themselves are not
//! installed, they would conflict with a packaged rustup. Debian leaves out std for this target, so it is built once from the
//! packaged sources with the packaged compiler. The linker is the one that came with the installed toolchain.
//!
//! Limits: x86_64 Linux for the Debian way. What is made is kept in the user's cache folder (SWITCHHOOK_WASM_TOOLCHAIN names
//! another), so clones share it; a run that was broken off leaves only a folder that the next one removes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::debian;
use crate::run::{output, run, which};

/// The target of every guest.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
const HOST: &str = "x86_64-unknown-linux-gnu";
/// Raised when the steps below change, so that an older toolchain is made again.
const REVISION: &str = "2";

/// How guests are compiled.
pub(crate) struct Toolchain {
    rustc: Option<PathBuf>,
}

impl Toolchain {
    /// Find or make one.
    pub(crate) fn ready() -> Result<Toolchain> {
        let sysroot =
            PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]))?.trim());
        if has_target(&sysroot) {
            return Ok(Toolchain { rustc: None });
        }
        let dest = dest()?;
        let rustc = dest.join("bin/rustc");
        if rustc.exists()
            && fs::read_to_string(dest.join("stamp")).is_ok_and(|stamp| stamp.trim() == REVISION)
        {
            return Ok(Toolchain { rustc: Some(rustc) });
        }
        eprintln!(
            "no {TARGET} target is installed (`rustup target add {TARGET}` is the quick way where rustup can fetch it):"
        );
        eprintln!(
            "making a toolchain from Debian's rust-web in {} (about a minute, once)",
            dest.display()
        );
        make(&dest, &sysroot).with_context(|| {
            format!("cannot make a toolchain for {TARGET}; on a machine where rustup can fetch: rustup target add {TARGET}")
        })?;
        Ok(Toolchain { rustc: Some(rustc) })
    }

    /// A cargo command for guests; the caller adds the subcommand.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = crate::run::cargo();
        if let Some(rustc) = &self.rustc {
            cargo
                .env("RUSTC", rustc)
                .env_remove("RUSTC_WRAPPER")
                .env_remove("RUSTC_WORKSPACE_WRAPPER");
        }
        cargo
    }

    /// A name for target folders: outputs of two compilers must not meet in one.
    pub(crate) fn name(&self) -> &'static str {
        if self.rustc.is_some() {
            "guests-build-web"
        } else {
            "guests-build"
        }
    }
}

fn has_target(sysroot: &Path) -> bool {
    sysroot
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib")
        .is_dir()
}

fn dest() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("SWITCHHOOK_WASM_TOOLCHAIN") {
        return Ok(std::path::absolute(dir)?);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache =
        cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(cache
        .context("neither HOME nor XDG_CACHE_HOME is set")?
        .join("switchhook")
        .join(TARGET))
}

fn make(dest: &Path, sysroot: &Path) -> Result<()> {
    ensure!(
        cfg!(all(target_arch = "x86_64", target_os = "linux")),
        "Debian's packages are taken on x86_64 Linux only"
    );
    for tool in ["apt-get", "apt-cache", "dpkg-deb", "tar"] {
        ensure!(
            which(tool).is_some(),
            "{tool} is not there: this step needs Debian's tools"
        );
    }
    let build = dest.with_extension("partial");
    if build.exists() {
        fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
    }
    let debs = build.join("debs");
    fs::create_dir_all(&debs)?;
    let release = Release::newest()?;
    download(&release, &debs)?;
    unpack(&release, &debs, &build)?;
    fs::remove_dir_all(&debs)?;
    wrapper(&build)?;
    linkers(&build, sysroot)?;
    standard_library(&release, &build)?;
    fs::write(build.join("stamp"), REVISION)?;
    if dest.exists() {
        fs::remove_dir_all(dest)?;
    }
    fs::rename(&build, dest)?;
    eprintln!(
        "made: {}",
        output(Command::new(dest.join("bin/rustc")).arg("-V"))?.trim()
    );
    Ok(())
}

/// One release of rust-web in Debian's archive.
struct Release {
    /// As Debian counts: 1.96.0+dfsg1-1~deb12u2.
    package: String,
    /// As Rust counts: 1.96.0.
    version: String,
    /// The LLVM library package it is linked with.
    llvm: String,
}

impl Release {
    /// The newest one: the security archive keeps no others, so none can be pinned.
    fn newest() -> Result<Release> {
        let listed = || output(Command::new("apt-cache").args(["madison", "rust-web-src"]));
        let mut lines = listed()?;
        if lines.trim().is_empty() {
            update()?;
            lines = listed()?;
        }
        let versions = lines
            .lines()
            .filter_map(|line| line.split('|').nth(1))
            .map(str::trim);
        let package = versions
            .max_by_key(|version| numbers(version))
            .context("Debian's archive, as set up here, has no package rust-web-src")?
            .to_owned();
        let version = package.split('+').next().unwrap_or(&package).to_owned();
        let std = format!("libstd-rust-web-{}={package}", minor(&version));
        let depends = output(Command::new("apt-cache").args(["depends", &std]))?;
        let llvm = depends
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .find(|name| name.starts_with("libllvm"))
            .with_context(|| format!("{std} names no LLVM library that it needs"))?
            .to_owned();
        Ok(Release {
            package,
            version,
            llvm,
        })
    }

    fn packages(&self) -> Result<Vec<String>> {
        let of = |name: &str| format!("{name}={}", self.package);
        let mut packages = vec![
            of("rustc-web"),
            of("libstd-rust-web-dev"),
            of(&format!("libstd-rust-web-{}", minor(&self.version))),
            of("rust-web-src"),
        ];
        packages.extend(not_installed(&self.llvm)?);
        Ok(packages)
    }
}

/// A library package and all that it depends on, without what is installed: a small system lacks some of it.
fn not_installed(package: &str) -> Result<Vec<String>> {
    let mut depends = Command::new("apt-cache");
    depends.args(["depends", "--recurse", "--no-recommends", "--no-suggests"]);
    depends.args([
        "--no-conflicts",
        "--no-breaks",
        "--no-replaces",
        "--no-enhances",
        package,
    ]);
    let listed = output(&mut depends)?;
    // packages stand at the line's start, virtual ones in <>, what each depends on is indented
    let names = listed
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()));
    let installed = |name: &str| {
        let mut query = Command::new("dpkg-query");
        output(query.args(["-W", "-f", "${Status}", name]))
            .is_ok_and(|status| status.ends_with(" installed"))
    };
    Ok(names
        .filter(|name| !installed(name))
        .map(str::to_owned)
        .collect())
}

/// 1.96.0 -> 1.96
fn minor(version: &str) -> &str {
    version.rsplit_once('.').map_or(version, |(minor, _)| minor)
}

/// A version's numbers in order: enough to say which of two is newer.
fn numbers(version: &str) -> Vec<u32> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

fn update() -> Result<()> {
    let root = debian::Root::get().context("the package lists are empty; run: apt-get update")?;
    output(root.command("apt-get").args(["-qq", "update"])).map(drop)
}

fn download(release: &Release, into: &Path) -> Result<()> {
    let get = || {
        let mut apt = Command::new("apt-get");
        // root would hand the download to a user that cannot write here
        apt.current_dir(into)
            .args(["-qq", "-o", "APT::Sandbox::User=root", "download"])
            .args(release.packages()?);
        output(&mut apt)
    };
    if get().is_err() {
        update()?;
        get()?;
    }
    Ok(())
}

fn unpack(release: &Release, debs: &Path, into: &Path) -> Result<()> {
    for deb in fs::read_dir(debs)? {
        let deb = deb?.path();
        let source = deb
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("rust-web-src"));
        let only = if source {
            format!("./usr/src/rustc-{}/library", release.version)
        } else {
            "./".to_owned()
        };
        let script =
            r#"dpkg-deb --fsys-tarfile "$1" | tar x -C "$2" --exclude='./usr/share/*' "$3""#;
        output(
            Command::new("sh")
                .args(["-ec", script, "unpack"])
                .arg(&deb)
                .arg(into)
                .arg(&only),
        )?;
    }
    Ok(())
}

/// The packaged compiler looks for its LLVM where the package would have put it.
fn wrapper(build: &Path) -> Result<()> {
    let bin = build.join("bin");
    fs::create_dir_all(&bin)?;
    let text = "#!/bin/sh\nd=$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")\n\
        LD_LIBRARY_PATH=\"$d/usr/lib/x86_64-linux-gnu:$d/lib/x86_64-linux-gnu\" exec \"$d/usr/bin/rustc\" \"$@\"\n";
    let rustc = bin.join("rustc");
    fs::write(&rustc, text)?;
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn linkers(build: &Path, sysroot: &Path) -> Result<()> {
    let bin = build.join("usr/lib/rustlib").join(HOST).join("bin");
    fs::create_dir_all(&bin)?;
    for tool in ["rust-lld", "wasm-component-ld"] {
        let installed = sysroot
            .join("lib/rustlib")
            .join(HOST)
            .join("bin")
            .join(tool);
        // a reinstalled toolchain keeps its path, so a link does
        if installed.exists() {
            symlink(&installed, bin.join(tool))?;
        } else if tool == "rust-lld" {
            bail!(
                "{} is not there: the installed Rust toolchain lacks its linker",
                installed.display()
            );
        }
    }
    Ok(())
}

fn standard_library(release: &Release, build: &Path) -> Result<()> {
    let library = build.join(format!("usr/src/rustc-{}/library", release.version));
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&library);
    cargo.args([
        "build",
        "--quiet",
        "-Zavoid-dev-deps",
        "--release",
        "--manifest-path",
        "sysroot/Cargo.toml",
        "--target",
        TARGET,
    ]);
    if library.join("vendor").is_dir() {
        fs::create_dir_all(library.join(".cargo"))?;
        let config = "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"vendor\"\n";
        fs::write(library.join(".cargo/config.toml"), config)?;
        cargo.arg("--offline");
    }
    let target = build.join("build");
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
    ] {
        cargo.env_remove(name);
    }
    cargo
        .env("RUSTC", build.join("bin/rustc"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "RUSTFLAGS",
            "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes",
        )
        .env("CARGO_TARGET_DIR", &target)
        .env("__CARGO_DEFAULT_LIB_METADATA", "stablestd");
    output(&mut cargo)?;
    let lib = build.join("usr/lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&lib)?;
    for file in fs::read_dir(target.join(TARGET).join("release/deps"))? {
        let file = file?.path();
        if file.extension().is_some_and(|kind| kind == "rlib") {
            fs::copy(&file, lib.join(file.file_name().unwrap_or_default()))?;
        }
    }
    // a compiler that cannot compile is found here, not in the first guest
    let probe = build.join("probe.rs");
    fs::write(
        &probe,
        "#[unsafe(no_mangle)] pub extern \"C\" fn probe() -> usize { std::env::args().count() }\n",
    )?;
    run(Command::new(build.join("bin/rustc"))
        .args([
            "--edition=2024",
            "--crate-type=cdylib",
            "--target",
            TARGET,
            "-o",
        ])
        .arg(build.join("probe.wasm"))
        .arg(&probe))?;
    for gone in [&probe, &build.join("probe.wasm")] {
        fs::remove_file(gone)?;
    }
    fs::remove_dir_all(&target)?;
    fs::remove_dir_all(build.join("usr/src"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_is_chosen_by_number_not_by_letter() {
        assert!(numbers("1.100.0+dfsg1-1~deb12u1") > numbers("1.96.0+dfsg1-1~deb12u2"));
        assert!(numbers("1.96.0+dfsg1-1~deb12u2") > numbers("1.85.0+dfsg3-1~deb12u3"));
        assert_eq!(minor("1.96.0"), "1.96");
    }
}
