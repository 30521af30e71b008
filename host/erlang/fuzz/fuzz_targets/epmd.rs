//! Any bytes as EPMD's requests and answers: what is read is written the same, and nothing is read beyond its end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchhook_erlang::epmd::{Found, Registered, Request, decode_names, encode_names};

fuzz_target!(|data: &[u8]| {
    if let Ok(Some((request, length))) = Request::decode(data) {
        assert!(length <= data.len());
        let again = request.encode();
        let Ok(Some((read, whole))) = Request::decode(&again) else {
            panic!("{request:?} can't be read back");
        };
        assert_eq!((read, whole), (request, again.len()));
    }
    if let Ok(Some(answer)) = Registered::decode(data) {
        assert_eq!(Registered::decode(&answer.encode()), Ok(Some(answer)));
    }
    if let Ok(Some(found)) = Found::decode(data) {
        assert_eq!(Found::decode(&found.encode()), Ok(Some(found)));
    }
    if let Ok(names) = decode_names(data) {
        let again = encode_names(4369, &names);
        assert_eq!(decode_names(&again).as_ref(), Ok(&names));
    }
});
