//! The best final response of a context: RFC 3261 s.16.7 steps 6 and 7.
//!
//! Decides only. Responses are as they will go upstream, the top Via removed. 2xx never come here: they are forwarded at once.

use bytes::Bytes;

use crate::message::{EditError, Edits, HeaderId, Message, render};

/// How one branch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Final {
    /// The branch's place in its transaction.
    pub(super) branch: usize,
    /// 300 to 699.
    pub(super) status: u16,
    /// The response, or nothing for one made here: 408 for silence, 503 for a request that could not be sent.
    pub(super) bytes: Bytes,
}

/// The best of these, or `None` when there is none. A 6xx wins; else the lowest class; within a class what tells the caller how to
/// try again (401, 407, 415, 420, 484), then what a person or server downstream said, then what came of silence: 408, 487, 503,
/// and last what was made here. Of equals the first to come. To a cancelled request 487 is the best answer of its class.
pub(super) fn best(finals: &[Final], cancelled: bool) -> Option<&Final> {
    finals.iter().min_by_key(|end| rank(end, cancelled))
}

fn rank(end: &Final, cancelled: bool) -> (u16, u8, bool) {
    let class = match end.status {
        600.. => 0,
        status => status / 100,
    };
    let within = match end.status {
        487 if cancelled => 0,
        401 | 407 => 1,
        415 | 420 | 484 => 2,
        408 | 503 => 4,
        487 => 5,
        _ => 3,
    };
    (class, within, end.bytes.is_empty())
}

/// Adds to a 401 or 407 the challenges of all the others (s.16.7 step 7), as they came. `None` when there is nothing to add.
pub(super) fn with_all_challenges(
    best: &Final,
    finals: &[Final],
    edits: &mut Edits,
    out: &mut Vec<u8>,
) -> Result<Option<Bytes>, EditError> {
    let asks = |end: &Final| matches!(end.status, 401 | 407) && !end.bytes.is_empty();
    if !asks(best) {
        return Ok(None);
    }
    let response = Message::parse(best.bytes.clone())?;
    edits.clear();
    for other in finals
        .iter()
        .filter(|end| end.branch != best.branch && asks(end))
    {
        let other = Message::parse(other.bytes.clone())?;
        for field in other.fields() {
            if matches!(
                field.id,
                HeaderId::WwwAuthenticate | HeaderId::ProxyAuthenticate
            ) {
                edits.append_field(&response, field.name, field.value)?;
            }
        }
    }
    if edits.is_empty() {
        return Ok(None);
    }
    out.clear();
    render(&response, edits, out);
    Ok(Some(Bytes::copy_from_slice(out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(branch: usize, status: u16) -> Final {
        Final {
            branch,
            status,
            bytes: Bytes::from_static(b"as it came"),
        }
    }

    fn made(branch: usize, status: u16) -> Final {
        Final {
            branch,
            status,
            bytes: Bytes::new(),
        }
    }

    fn of(statuses: &[u16]) -> u16 {
        let finals: Vec<_> = statuses
            .iter()
            .enumerate()
            .map(|(branch, status)| came(branch, *status))
            .collect();
        best(&finals, false).unwrap().status
    }

    #[test]
    fn nothing_came_of_nothing() {
        assert_eq!(best(&[], false), None);
    }

    #[test]
    fn a_6xx_wins_over_all() {
        assert_eq!(of(&[302, 404, 603, 500]), 603);
    }

    #[test]
    fn else_the_lowest_class_wins() {
        assert_eq!(of(&[500, 404, 302]), 302);
        assert_eq!(of(&[503, 486]), 486);
    }

    #[test]
    fn what_tells_how_to_try_again_wins_its_class() {
        for status in [401, 407, 415, 420, 484] {
            assert_eq!(of(&[404, 486, status, 408]), status);
        }
        assert_eq!(of(&[415, 401]), 401);
    }

    #[test]
    fn an_answer_wins_over_silence() {
        assert_eq!(of(&[408, 486, 487]), 486);
        assert_eq!(of(&[503, 500]), 500);
        let finals = [made(0, 408), came(1, 408)];
        assert_eq!(best(&finals, false).unwrap().branch, 1);
    }

    #[test]
    fn of_equals_the_first_to_come_wins() {
        assert_eq!(
            best(&[came(2, 404), came(0, 486)], false).unwrap().branch,
            2
        );
    }

    #[test]
    fn a_cancelled_request_is_answered_487() {
        let finals = [came(0, 486), came(1, 487)];
        assert_eq!(best(&finals, true).unwrap().status, 487);
        assert_eq!(best(&finals, false).unwrap().status, 486);
    }

    #[test]
    fn challenges_of_all_branches_are_gathered() {
        let text = |status: u16, field: &str| {
            Bytes::from(format!(
                "SIP/2.0 {status} Unauthorized\r\nTo: <sip:b@h>;tag=1\r\n{field}\r\nContent-Length: 0\r\n\r\n"
            ))
        };
        let finals = [
            Final {
                branch: 0,
                status: 407,
                bytes: text(407, "Proxy-Authenticate: Digest realm=\"a\""),
            },
            Final {
                branch: 1,
                status: 401,
                bytes: text(
                    401,
                    "WWW-Authenticate: Digest realm=\"b\",\r\n nonce=\"1,2\"",
                ),
            },
            came(2, 404),
            made(3, 408),
        ];
        let first = best(&finals, false).unwrap();
        let all = with_all_challenges(first, &finals, &mut Edits::default(), &mut Vec::new());
        let all = Message::parse(all.unwrap().unwrap()).unwrap();
        assert_eq!(all.status(), 407);
        assert_eq!(
            all.header(HeaderId::WwwAuthenticate),
            Some(&b"Digest realm=\"b\",\r\n nonce=\"1,2\""[..])
        );
        assert_eq!(
            all.header(HeaderId::ProxyAuthenticate),
            Some(&b"Digest realm=\"a\""[..])
        );
    }

    #[test]
    fn a_lone_challenge_is_left_as_it_is() {
        let finals = [Final {
            branch: 0,
            status: 401,
            bytes: Bytes::from_static(b"SIP/2.0 401 No\r\nWWW-Authenticate: X\r\n\r\n"),
        }];
        let all = with_all_challenges(
            finals.first().unwrap(),
            &finals,
            &mut Edits::default(),
            &mut Vec::new(),
        );
        assert_eq!(all, Ok(None));
    }
}
