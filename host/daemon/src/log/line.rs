//! One event, one line: its fields and those of the spans around it, as text or JSON.
//!
//! Text: `TIME LEVEL target: message key=value ...`. JSON: one flat object. In both a field whose name says that it holds
//! personal data is shown as `***` unless `pii` is on. A value is cut at 8 KiB and can't break the line.

use super::writer::Writer;
use crate::config::Format;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer as Out;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Fields that name persons or their phones.
const PERSONAL: [&str; 11] = [
    "user",
    "aor",
    "uri",
    "request_uri",
    "from",
    "to",
    "contact",
    "target_uri",
    "username",
    "bytes",
    "guest_message",
];
const MASK: &str = "***";
const LONGEST: usize = 8192;

/// The layer that makes lines.
pub(super) struct Lines {
    writer: Arc<Writer>,
    format: Format,
    pii: Arc<AtomicBool>,
}

/// What an event or span says: names and values, in order.
#[derive(Default)]
struct Fields(Vec<(&'static str, serde_json::Value)>);

impl Lines {
    pub(super) fn new(writer: Arc<Writer>, format: Format, pii: Arc<AtomicBool>) -> Self {
        Self {
            writer,
            format,
            pii,
        }
    }

    fn mask(&self, fields: &mut Fields) {
        if self.pii.load(Ordering::Relaxed) {
            return;
        }
        for (name, value) in &mut fields.0 {
            if PERSONAL.contains(name) {
                *value = MASK.into();
            }
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        self.mask(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        let Some(fields) = extensions.get_mut::<Fields>() else {
            return;
        };
        values.record(fields);
        self.mask(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.mask(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(Fields(outer)) = span.extensions().get::<Fields>() {
                for (name, value) in outer {
                    // The inner one is nearer to what happened.
                    if !fields.0.iter().any(|(known, _)| known == name) {
                        fields.0.push((name, value.clone()));
                    }
                }
            }
        }
        let mut time = String::with_capacity(32);
        _ = SystemTime.format_time(&mut Out::new(&mut time));
        let metadata = event.metadata();
        let line = match self.format {
            Format::Text => text(&time, metadata.level(), metadata.target(), &fields),
            Format::Json => json(&time, metadata.level(), metadata.target(), &fields),
        };
        self.writer.line(line);
    }
}

fn text(time: &str, level: &tracing::Level, target: &str, fields: &Fields) -> String {
    let mut line = String::with_capacity(256);
    let target = target.strip_prefix("switchhook_").unwrap_or(target);
    _ = write!(line, "{time} {level:>5} {target}:");
    for (name, value) in &fields.0 {
        let plain = value.as_str().filter(|text| {
            *name == "message" || !text.contains(|c: char| c.is_whitespace() || c == '"')
        });
        _ = match (*name, plain) {
            ("message", Some(text)) => write!(line, " {}", OneLine(text)),
            (_, Some(text)) => write!(line, " {name}={}", OneLine(text)),
            (_, None) => write!(line, " {name}={value}"),
        };
    }
    line.push('\n');
    line
}

fn json(time: &str, level: &tracing::Level, target: &str, fields: &Fields) -> String {
    let mut line = serde_json::Map::with_capacity(fields.0.len() + 3);
    line.insert("time".to_owned(), time.into());
    line.insert("level".to_owned(), level.as_str().to_lowercase().into());
    line.insert("target".to_owned(), target.into());
    for (name, value) in &fields.0 {
        line.insert((*name).to_owned(), value.clone());
    }
    let mut line = serde_json::Value::Object(line).to_string();
    line.push('\n');
    line
}

/// A message as one line: a peer's or a script's text can't forge a second one, nor move the cursor.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\t' => f.write_char(c)?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

impl Fields {
    fn text(&mut self, field: &Field, mut text: String) {
        if text.len() > LONGEST {
            let mut end = LONGEST;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push_str(" ...");
        }
        self.0.push((field.name(), text.into()));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.push((field.name(), value.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    fn lines(format: Format, pii: bool, say: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let writer = Arc::new(Writer::file(&path).unwrap());
        let layer = Lines::new(Arc::clone(&writer), format, Arc::new(AtomicBool::new(pii)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        writer.flush();
        std::fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn a_line_has_the_fields_of_its_spans() {
        let text = lines(Format::Text, false, || {
            let span = tracing::info_span!("transaction", call_id = "a@b", status = 100);
            span.in_scope(|| tracing::info!(status = 200, "relayed"));
        });
        assert!(
            text.ends_with(" relayed status=200 call_id=a@b\n"),
            "{text}"
        );
        let json = lines(Format::Json, false, || {
            tracing::warn!(branch = 1, "it's \"late\"")
        });
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["level"], &json["branch"], &json["message"]),
            (&"warn".into(), &1.into(), &"it's \"late\"".into())
        );
    }

    #[test]
    fn personal_data_is_masked_unless_allowed() {
        let say = || tracing::info!(aor = "sip:alice@example.test", "saved");
        assert!(lines(Format::Text, false, say).ends_with(" saved aor=***\n"));
        assert!(lines(Format::Text, true, say).ends_with(" saved aor=sip:alice@example.test\n"));
    }

    #[test]
    fn a_text_from_outside_stays_on_its_line() {
        let text = lines(Format::Text, true, || {
            tracing::info!(reason = "a\nb", "x\n2026 ERROR forged\x1b[2J")
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(r"x\n2026 ERROR forged\u{1b}[2J"), "{text}");
    }
}
