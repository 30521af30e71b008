//! switchhook.toml: typed, with defaults, and with errors that show the line.
//!
//! A file is read in four steps: TOML to a tree that knows its places ([`document`]), each `--set` laid over it ([`set`]), the tree to
//! the types here ([`de`]), and what types can't say ([`check`], [`users`]). The types are what docs/switchhook.schema.json is made from.
//! Keys are kebab-case. Paths are relative to the file.

mod check;
mod de;
mod dmq;
mod document;
mod erlang;
mod listen;
mod problem;
mod script;
mod service;
mod set;
mod sip;
mod suggest;
mod tables;
mod units;
pub(crate) mod users;

pub(crate) use dmq::Dmq;
pub(crate) use erlang::{Epmd, Erlang, Results};
pub(crate) use problem::Problems;
pub(crate) use script::Script;
pub(crate) use service::{Admin, AdminListen, Algorithm, Auth, Format, Log};
pub(crate) use sip::{Dns, Sip};
pub(crate) use suggest::nearest;
pub(crate) use tables::{Dialog, Htable, Initial, Location, Registrar};

use document::{Document, Source};
use problem::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use service::Cache;
use std::path::{Path, PathBuf};
use users::User;

/// All settings.
#[derive(Debug, Clone, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "switchhook.toml")]
pub(crate) struct Config {
    /// SIP: where to listen and how much at once.
    pub(crate) sip: Sip,
    /// How names are resolved.
    pub(crate) dns: Dns,
    /// Scripts. The first one routes.
    pub(crate) script: Vec<Script>,
    /// Hash tables that all scripts share.
    pub(crate) htable: Vec<Htable>,
    /// Tables of registered contacts. Without one there is `location`.
    pub(crate) location: Vec<Location>,
    /// What the registrar grants.
    pub(crate) registrar: Registrar,
    /// Calls that scripts track.
    pub(crate) dialog: Dialog,
    /// Digest authentication.
    pub(crate) auth: Auth,
    /// The DMQ bus, where this node is on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dmq: Option<Dmq>,
    /// The Erlang node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) erlang: Option<Erlang>,
    /// The admin socket.
    pub(crate) admin: Admin,
    /// The log.
    pub(crate) log: Log,
    /// Compiled scripts.
    pub(crate) cache: Cache,
}

/// A config that passed every check, and the users it names.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) users: Vec<User>,
    /// What is allowed and should be known, for the log.
    pub(crate) warnings: Vec<String>,
    document: Document,
}

impl Loaded {
    /// An error about a setting, shown at its line: what only starting brings out.
    pub(crate) fn problem(&self, path: &[&str], title: &str, label: impl Into<String>) -> Problems {
        Problems::one(
            self.document.sources.clone(),
            self.problem_at(path, title, label),
        )
    }

    /// The same with a line of help under it.
    pub(crate) fn problem_with_help(
        &self,
        path: &[&str],
        title: &str,
        label: &str,
        help: String,
    ) -> Problems {
        Problems::one(
            self.document.sources.clone(),
            self.problem_at(path, title, label).help(help),
        )
    }

    fn problem_at(&self, path: &[&str], title: &str, label: impl Into<String>) -> Problem {
        Problem::new(title).maybe_at(self.document.place(path), label)
    }
}

/// Reads a config file with some `--set`s laid over it.
pub(crate) fn load(file: &Path, sets: &[String]) -> Result<Loaded, Problems> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        let problem = Problem::new(format!("can't read the config file {name}"))
            .maybe_at(None, error.to_string());
        Problems::one(Vec::new(), problem)
    })?;
    read(&name, &text, file.parent().unwrap_or(Path::new("")), sets)
}

fn read(name: &str, text: &str, dir: &Path, sets: &[String]) -> Result<Loaded, Problems> {
    let mut document = Document::parse(name, text)?;
    let wrong: Vec<_> = sets
        .iter()
        .filter_map(|setting| set::apply(&mut document, setting).err())
        .collect();
    if !wrong.is_empty() {
        return Err(Problems {
            sources: document.sources,
            list: wrong,
        });
    }
    let mut config: Config = match de::read(&document.root) {
        Ok(config) => config,
        Err(problem) => return Err(Problems::one(document.sources, problem)),
    };
    config.resolve(dir);
    let wrong = check::check(&config, &document);
    if !wrong.is_empty() {
        return Err(Problems {
            sources: document.sources,
            list: wrong,
        });
    }
    let (users, warnings) = match &config.auth.users {
        Some(path) => read_users(path, &config, &document)?,
        None => Default::default(),
    };
    Ok(Loaded {
        config,
        users,
        warnings,
        document,
    })
}

fn read_users(
    path: &Path,
    config: &Config,
    document: &Document,
) -> Result<(Vec<User>, Vec<String>), Problems> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let label = format!("{}: {error}", path.display());
        let problem = Problem::new("can't read the users file")
            .maybe_at(document.place(&["auth", "users"]), label);
        Problems::one(document.sources.clone(), problem)
    })?;
    let users = users::parse(
        &path.display().to_string(),
        &text,
        config.auth.realm.as_deref(),
    )?;
    let warnings = users::exposed(path, &users).into_iter().collect();
    Ok((users, warnings))
}

impl Config {
    /// Makes relative paths start at the config file's folder, and puts in what is there when nothing is written.
    fn resolve(&mut self, dir: &Path) {
        let absolute = |path: &mut PathBuf| *path = dir.join(&*path);
        self.script
            .iter_mut()
            .for_each(|script| absolute(&mut script.path));
        self.auth.users.iter_mut().for_each(absolute);
        let dmq = self.dmq.iter_mut();
        dmq.flat_map(|dmq| &mut dmq.key_files).for_each(absolute);
        self.log.file.iter_mut().for_each(absolute);
        if let Some(erlang) = &mut self.erlang {
            erlang.cookie_file.iter_mut().for_each(absolute);
            let peers = erlang.peer.iter_mut();
            peers
                .filter_map(|peer| peer.cookie_file.as_mut())
                .for_each(absolute);
            if let Some(tls) = &mut erlang.tls {
                for path in [&mut tls.certificate, &mut tls.key, &mut tls.authorities] {
                    absolute(path);
                }
            }
        }
        if let Some(cache) = self
            .cache
            .dir
            .as_mut()
            .filter(|cache| cache.as_os_str() != "off")
        {
            absolute(cache);
        }
        if let Some(AdminListen::Unix(path)) = &mut self.admin.listen {
            absolute(path);
        }
        if self.location.is_empty() {
            self.location.push(Location::default());
        }
    }

    /// The admin socket's path; none when it is off.
    pub(crate) fn admin_socket(&self) -> Option<PathBuf> {
        match &self.admin.listen {
            Some(AdminListen::Off) => None,
            Some(AdminListen::Unix(path)) => Some(path.clone()),
            None => Some(crate::dirs::admin_socket()),
        }
    }

    /// Where compiled code is kept; none when it is off or the user has no home.
    pub(crate) fn cache_dir(&self) -> Option<PathBuf> {
        match &self.cache.dir {
            Some(dir) if dir.as_os_str() == "off" => None,
            Some(dir) => Some(dir.clone()),
            None => crate::dirs::cache(),
        }
    }
}

/// The sources of a text that is not the config, such as the users file.
fn sources(name: &str, text: &str) -> Vec<Source> {
    vec![Source {
        name: name.to_owned(),
        text: text.to_owned(),
    }]
}

/// The JSON schema of the file, as committed in docs/switchhook.schema.json.
pub(crate) fn schema() -> String {
    let schema = schemars::schema_for!(Config);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
