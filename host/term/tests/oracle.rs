//! Beside eetf, another codec of the external format.

mod common;

use proptest::prelude::*;
use switchhook_term::{decode, to_bytes};

proptest! {
    /// What we write, eetf reads; what it writes of that again, we read as the term we wrote.
    #[test]
    fn eetf_reads_and_writes_the_same(term in common::term()) {
        let theirs = eetf::Term::decode(&to_bytes(&term)[..]).unwrap();
        let mut bytes = Vec::new();
        theirs.encode(&mut bytes).unwrap();
        prop_assert_eq!(decode(&bytes).unwrap(), term);
    }

    /// Both find the end of a term at the same place.
    #[test]
    fn eetf_ends_where_we_do(term in common::term(), after: Vec<u8>) {
        let mut bytes = to_bytes(&term);
        let length = bytes.len();
        bytes.extend(after);
        let mut rest = &bytes[..];
        eetf::Term::decode(&mut rest).unwrap();
        prop_assert_eq!(bytes.len() - rest.len(), length);
    }
}
