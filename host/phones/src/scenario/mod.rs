//! What the phones do: scenarios, built in or from a file, read and made ready to run.
//!
//! - [`Scenario`] is found by its name or its file.
//! - `file` is the language, `compile` makes a [`program`] of it, `dialogs` keeps who talks with whom meanwhile, `text` writes the messages.
//! - [`ScenarioError`] shows what is wrong at its line.

mod compile;
mod dialogs;
mod file;
mod problem;
pub(crate) mod program;
mod text;
mod units;

#[cfg(test)]
mod tests;

use std::path::Path;

pub(crate) use compile::Place;
pub use file::Dial;
use problem::Problem;
pub use problem::ScenarioError;
use program::Program;
pub(crate) use units::duration;

const REGISTER: &str = include_str!("builtin/register.toml");

const UNREGISTER: &str = include_str!("builtin/unregister.toml");

/// Every built-in scenario: name and file.
const BUILT_IN: [(&str, &str); 12] = [
    ("options", include_str!("builtin/options.toml")),
    ("message", include_str!("builtin/message.toml")),
    ("stateless", include_str!("builtin/stateless.toml")),
    ("lookup", include_str!("builtin/lookup.toml")),
    ("call", include_str!("builtin/call.toml")),
    ("register", REGISTER),
    ("unregister", UNREGISTER),
    ("register-auth", include_str!("builtin/register-auth.toml")),
    ("hold", include_str!("builtin/hold.toml")),
    ("transfer", include_str!("builtin/transfer.toml")),
    ("busy", include_str!("builtin/busy.toml")),
    ("cancel", include_str!("builtin/cancel.toml")),
];

/// A scenario that can be read.
#[derive(Debug)]
pub struct Scenario {
    name: String,
    /// The file's text, as `--show` prints it.
    pub text: String,
    file: file::File,
}

impl Scenario {
    /// The built-in scenario of this name, else the file of this path.
    pub fn find(name: &str) -> Result<Scenario, ScenarioError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Scenario::read(name, name, text);
        }
        let path = Path::new(name);
        let text = std::fs::read_to_string(path).map_err(|error| {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            let help = format!("built in are {}", names.join(", "));
            let problem = Problem {
                title: format!("can't read the scenario: {error}"),
                span: None,
                label: help,
                help: None,
            };
            ScenarioError {
                file: name.to_owned(),
                text: String::new(),
                problem: Box::new(problem),
            }
        })?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Scenario::read(&stem, name, &text)
    }

    /// A phone registers, or takes that back: what stands around a scenario in which it is called at its address of record.
    pub(crate) fn registering(phone: &str, registered: bool) -> Result<Scenario, ScenarioError> {
        let text = if registered { REGISTER } else { UNREGISTER };
        Scenario::read("register", "register", &text.replace("bob", phone))
    }

    /// Names and descriptions of what is built in.
    pub fn built_in() -> impl Iterator<Item = (&'static str, String)> {
        BUILT_IN.iter().map(|(name, text)| {
            let about = Scenario::read(name, name, text).map(|scenario| scenario.file.about);
            (*name, about.unwrap_or_default())
        })
    }

    fn read(name: &str, source: &str, text: &str) -> Result<Scenario, ScenarioError> {
        let file = toml::from_str(text).map_err(|error| ScenarioError {
            file: source.to_owned(),
            text: text.to_owned(),
            problem: Box::new(Problem {
                title: "this is no scenario".to_owned(),
                span: error.span(),
                label: error.message().to_owned(),
                help: None,
            }),
        })?;
        let scenario = Scenario {
            name: name.to_owned(),
            text: text.to_owned(),
            file,
        };
        // what is wrong with it does not depend on where it will be run
        scenario.compile(
            source,
            &Place {
                domain: "example.test".to_owned(),
                dial: None,
            },
        )?;
        Ok(scenario)
    }

    fn compile(&self, source: &str, place: &Place) -> Result<Program, ScenarioError> {
        compile::compile(&self.name, &self.file, place).map_err(|problem| ScenarioError {
            file: source.to_owned(),
            text: self.text.clone(),
            problem: Box::new(problem),
        })
    }

    /// Makes it ready for a place.
    pub(crate) fn program(&self, place: &Place) -> Result<Program, ScenarioError> {
        self.compile(&self.name, place)
    }
}
