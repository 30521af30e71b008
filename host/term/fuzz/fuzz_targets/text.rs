//! Text as a term: never a panic; what is read is printed and read again as the same term, in both forms.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchhook_term::{Limits, parse_with};

fuzz_target!(|text: &str| {
    let limits = Limits {
        depth: 64,
        count: 10_000,
        bytes: 1 << 16,
    };
    let Ok(term) = parse_with(text, &limits) else {
        return;
    };
    for printed in [term.to_string(), format!("{term:#}")] {
        let again = switchhook_term::parse(&printed);
        assert_eq!(again.as_ref(), Ok(&term), "{printed}");
    }
});
