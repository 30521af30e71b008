//! Running other programs: what was run is said in the error, and a hung download does not hang the task.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Run to the end with the terminal's output; an error names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Run to the end and give how it ended.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command
        .status()
        .with_context(|| format!("cannot run {}", line(command)))
}

/// Run quietly and give its standard output; an error carries what it wrote to standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = command
        .output()
        .with_context(|| format!("cannot run {}", line(command)))?;
    if !out.status.success() {
        bail!(
            "{} ended with {}\n{}",
            line(command),
            out.status,
            String::from_utf8_lossy(&out.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Run with both outputs passed through line by line, each also shown to `look`.
pub(crate) fn watch(command: &mut Command, look: impl Fn(&str) + Sync) -> Result<ExitStatus> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", line(command)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let look = &look;
    std::thread::scope(|scope| {
        if let Some(stream) = stderr {
            scope.spawn(move || {
                for text in BufReader::new(stream).lines().map_while(Result::ok) {
                    look(&text);
                    eprintln!("{text}");
                }
            });
        }
        if let Some(stream) = stdout {
            for text in BufReader::new(stream).lines().map_while(Result::ok) {
                look(&text);
                println!("{text}");
            }
        }
    });
    Ok(child.wait()?)
}

/// Run quietly, but no longer than `limit`; true if it ended well in time.
pub(crate) fn within(command: &mut Command, limit: Duration) -> bool {
    let Ok(mut child) = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
    else {
        return false;
    };
    let end = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(100)),
            _ => {
                // too late to matter if it cannot be killed: it is only waited for here
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// The program's path, where it is found on PATH (or beside it, where Debian keeps servers).
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].iter().map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// `cargo` in the workspace's root, as the toolchain that runs this xtask.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    command
}

/// A program of the workspace. Within `cargo xtask test` everything is built already, with the workspace's features; else it is
/// built now, alone.
pub(crate) fn built(package: &str, program: &str) -> Result<Command> {
    let path = workspace::target().join("release").join(program);
    if !EVERYTHING_IS_BUILT.load(Ordering::Relaxed) {
        run(cargo().args(["build", "--quiet", "--release", "--package", package]))?;
    }
    Ok(Command::new(path))
}

/// Set once the workspace has been built whole.
pub(crate) static EVERYTHING_IS_BUILT: AtomicBool = AtomicBool::new(false);

/// The command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let mut text = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}
