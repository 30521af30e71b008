//! What is wrong with a config, and how a person is told: what came, what was expected, the line and a caret under it.
//!
//! The drawing is annotate-snippets', so it looks like rustc's.

use super::document::{Place, Source};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt::{self, Write};

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) title: String,
    pub(crate) place: Option<Place>,
    /// What stands beside the caret.
    pub(crate) label: String,
    /// A second place that has to do with it, and what stands there.
    also: Option<Box<(Place, String)>>,
    pub(crate) help: Option<String>,
}

impl Problem {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            place: None,
            label: String::new(),
            also: None,
            help: None,
        }
    }

    pub(crate) fn at(self, place: Place, label: impl Into<String>) -> Self {
        self.maybe_at(Some(place), label)
    }

    /// The same where the place may be unknown, such as that of a default; the label then follows the title.
    pub(crate) fn maybe_at(mut self, place: Option<Place>, label: impl Into<String>) -> Self {
        self.place = place;
        self.label = label.into();
        self
    }

    pub(crate) fn also(mut self, place: Option<Place>, label: impl Into<String>) -> Self {
        self.also = place.map(|place| Box::new((place, label.into())));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// One line without the source's text, for a log: a users file's lines hold passwords.
    fn line(&self, sources: &[Source]) -> String {
        let mut out = String::new();
        if let Some((place, source)) = self
            .place
            .as_ref()
            .and_then(|p| Some((p, sources.get(p.source)?)))
        {
            let before = source.text.get(..place.span.start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            _ = write!(out, "{}:{line}: ", source.name);
        } else {
            out.push_str(&self.file(sources));
        }
        out.push_str(&self.title);
        if !self.label.is_empty() {
            _ = write!(out, ": {}", self.label);
        }
        out
    }

    /// The file, for a problem that has no place in it.
    fn file(&self, sources: &[Source]) -> String {
        sources
            .first()
            .map(|source| format!("{}: ", source.name))
            .unwrap_or_default()
    }

    fn render(&self, sources: &[Source], renderer: &Renderer) -> String {
        let placed = self
            .place
            .as_ref()
            .and_then(|place| Some((place, sources.get(place.source)?)));
        let title = match (&placed, self.label.is_empty()) {
            (None, false) => format!("{}{}: {}", self.file(sources), self.title, self.label),
            (None, true) => format!("{}{}", self.file(sources), self.title),
            (Some(_), _) => self.title.clone(),
        };
        let mut group = Group::with_title(Level::ERROR.primary_title(title));
        if let Some((place, source)) = placed {
            let mut snippet = Snippet::source(source.text.as_str())
                .path(source.name.as_str())
                .annotation(
                    AnnotationKind::Primary
                        .span(clamp(place, &source.text))
                        .label(self.label.as_str()),
                );
            if let Some((also, label)) = self.also.as_deref()
                && also.source == place.source
            {
                let span = clamp(also, &source.text);
                let context = AnnotationKind::Context.span(span);
                snippet = snippet.annotation(context.label(label.as_str()));
            }
            group = group.element(snippet);
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// A span inside its text; an empty one at the end is shown as one column.
fn clamp(place: &Place, text: &str) -> std::ops::Range<usize> {
    let end = place.span.end.min(text.len());
    place.span.start.min(end)..end
}

/// All that is wrong, with the sources to show it in. Its `Display` is one line for each, for a log.
#[derive(Debug, Clone)]
pub(crate) struct Problems {
    pub(crate) sources: Vec<Source>,
    pub(crate) list: Vec<Problem>,
}

impl Problems {
    pub(crate) fn one(sources: Vec<Source>, problem: Problem) -> Self {
        Self {
            sources,
            list: vec![problem],
        }
    }

    /// The whole report, coloured for a terminal.
    pub(crate) fn report(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let reports: Vec<_> = self
            .list
            .iter()
            .map(|problem| problem.render(&self.sources, &renderer))
            .collect();
        reports.join("\n\n")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            f.write_str(&problem.line(&self.sources))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
