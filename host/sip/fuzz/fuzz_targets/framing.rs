//! Any bytes as a stream: cut anywhere, the same frames come out, and what is held stays within the limits.
//!
//! Input: one byte that says in what steps the stream comes, then the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchhook_sip::framing::{Frame, FrameError, FrameLimits, Framer};
use switchhook_sip::message::{Limits, Message};

const LIMITS: FrameLimits = FrameLimits {
    header: 512,
    body: 128,
};

fuzz_target!(|data: &[u8]| {
    let Some((step, stream)) = data.split_first() else {
        return;
    };
    let (whole, whole_end) = frames(stream, stream.len().max(1));
    let (parts, parts_end) = frames(stream, usize::from(*step).max(1));
    // A ping that came in two shows its first half as a pong.
    let messages = |frames: &[Frame]| {
        frames
            .iter()
            .filter(|f| matches!(f, Frame::Message(_)))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(messages(&whole), messages(&parts));
    let pings = |frames: &[Frame]| frames.iter().filter(|f| matches!(f, Frame::Ping)).count();
    assert_eq!(pings(&whole), pings(&parts));
    assert_eq!(whole_end.is_some(), parts_end.is_some());
    for frame in messages(&whole) {
        let Frame::Message(bytes) = frame else {
            continue;
        };
        assert!(bytes.len() <= LIMITS.header + LIMITS.body);
        // What the index reads of it must be all of it: nothing is left over to be taken for another message.
        if let Ok(message) = Message::parse_stream(bytes.clone(), &Limits::default()) {
            assert_eq!(message.bytes(), &bytes);
        }
    }
});

fn frames(stream: &[u8], step: usize) -> (Vec<Frame>, Option<FrameError>) {
    let mut framer = Framer::new(LIMITS);
    let mut frames = Vec::new();
    for chunk in stream.chunks(step) {
        framer.push(chunk);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    let _ = (error.to_string(), error.refusal(Some("t")));
                    return (frames, Some(error));
                }
            }
        }
        assert!(
            framer.held() <= LIMITS.header + LIMITS.body + 3,
            "held {}",
            framer.held()
        );
    }
    (frames, None)
}
