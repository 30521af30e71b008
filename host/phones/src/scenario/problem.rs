//! What is wrong with a scenario, shown at its line with a caret under it, as the daemon shows what is wrong with its config.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// A scenario that can't be used. Its `Display` is one line; [`ScenarioError::report`] draws the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// The file, or the name of a built-in scenario.
    pub(super) file: String,
    pub(super) text: String,
    pub(super) problem: Box<Problem>,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) title: String,
    pub(super) span: Option<Range<usize>>,
    pub(super) label: String,
    pub(super) help: Option<String>,
}

impl Problem {
    pub(super) fn at(
        span: Range<usize>,
        title: impl Into<String>,
        label: impl Into<String>,
    ) -> Problem {
        Problem {
            title: title.into(),
            span: Some(span),
            label: label.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: Option<String>) -> Problem {
        self.help = help;
        self
    }
}

impl ScenarioError {
    /// The report for a person, coloured for a terminal.
    pub fn report(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let problem = &self.problem;
        let Some(span) = problem.span.clone() else {
            let title = Level::ERROR.primary_title(self.to_string());
            return renderer.render(&[Group::with_title(title)]);
        };
        let end = span.end.min(self.text.len());
        let annotation = AnnotationKind::Primary
            .span(span.start.min(end)..end)
            .label(problem.label.as_str());
        let mut group = Level::ERROR.primary_title(problem.title.as_str()).element(
            Snippet::source(self.text.as_str())
                .path(self.file.as_str())
                .annotation(annotation),
        );
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(span) = &self.problem.span {
            let before = self.text.get(..span.start).unwrap_or_default();
            write!(f, ":{}", before.matches('\n').count() + 1)?;
        }
        write!(f, ": {}", self.problem.title)?;
        if !self.problem.label.is_empty() {
            write!(f, ": {}", self.problem.label)?;
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioError {}
