//! The report for programs.

use super::Report;

impl Report {
    /// One JSON object, indented; its shape is that of [`Report`].
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
