//! Requests on their way through a proxy, and round it.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::flow::{FlowId, Source, Transport};
use crate::message::{Edits, HeaderId, Message, render};

const VIA: &str = "SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKcaller";

fn own() -> Own {
    let mut own = Own::new();
    own.add_interface(
        Transport::Udp,
        "192.0.2.9",
        "192.0.2.9:5060".parse().unwrap(),
    );
    own.add_interface(
        Transport::Tcp,
        "192.0.2.9:5070",
        "192.0.2.9:5070".parse().unwrap(),
    );
    own.add_domain("example.test");
    own
}

const UDP: Interface<'static> = Interface {
    transport: Transport::Udp,
    sent_by: "192.0.2.9",
};
const TCP: Interface<'static> = Interface {
    transport: Transport::Tcp,
    sent_by: "192.0.2.9:5070",
};

fn key() -> LoopKey {
    LoopKey::new([1, 2])
}

fn source(address: &str) -> Source {
    Source {
        transport: Transport::Udp,
        remote: address.parse::<SocketAddr>().unwrap(),
        local: "192.0.2.9:5060".parse().unwrap(),
        flow: FlowId::new(1),
    }
}

/// A request with a line of headers each; `To: ;tag` is added for one in a dialog.
fn request(method: &str, uri: &str, lines: &[&str]) -> Message {
    let mut text = format!("{method} {uri} SIP/2.0\r\nVia: {VIA}\r\n");
    for line in lines {
        text += line;
        text += "\r\n";
    }
    let tag = if lines.contains(&"X-Dialog: yes") {
        ";tag=b"
    } else {
        ""
    };
    text += &format!(
        "From: <sip:alice@example.test>;tag=a\r\nTo: <sip:bob@example.test>{tag}\r\nCall-ID: c\r\nCSeq: 5 {method}\r\n\r\n"
    );
    Message::parse(text.into()).expect("a message")
}

fn rendered(request: &Message, edits: &Edits) -> Message {
    let mut out = Vec::new();
    render(request, edits, &mut out);
    Message::parse(out.into()).expect("a message")
}

fn all(request: &Message, id: HeaderId) -> Vec<String> {
    let values = request.values(id).filter(|v| !v.is_empty());
    values.map(text).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn refused(request: &Message) -> Option<(u16, String)> {
    let answer = check(request, &own(), &key()).err()?;
    Some((answer.status, answer.reason.into_owned()))
}

/// What [`preprocess`] makes of a request: what it found, request URI, Routes.
fn preprocessed(request: &Message) -> (Found, String, Vec<String>) {
    let mut edits = Edits::default();
    let found = preprocess(request, &mut edits, &own()).unwrap();
    let result = rendered(request, &edits);
    let routes = all(&result, HeaderId::Route);
    (found, text(result.request_uri()), routes)
}

mod checks {
    use super::*;

    #[test]
    fn a_sane_request_passes() {
        for uri in ["sip:bob@example.test", "sips:bob@x", "tel:+1234"] {
            assert_eq!(refused(&request("INVITE", uri, &["Max-Forwards: 1"])), None);
        }
    }

    #[test]
    fn each_fault_has_its_status() {
        for (uri, lines, status) in [
            ("sip:bob@example.test", &["Max-Forwards: many"][..], 400),
            ("sip:bob@example.test", &["CSeq: 5 INVITE"], 400),
            ("soap.beep://192.0.2.103:3002", &[], 416),
            ("sip:bob@example.test", &["Max-Forwards: 0"], 483),
            ("sip:bob@example.test", &["Proxy-Require: one, two"], 420),
            // In the order of 16.3.
            ("x:y", &["Max-Forwards: 0", "Proxy-Require: z"], 416),
            ("sip:bob@x", &["Max-Forwards: 0", "Proxy-Require: z"], 483),
        ] {
            let came = refused(&request("INVITE", uri, lines));
            assert_eq!(
                came.map(|(status, _)| status),
                Some(status),
                "{uri} {lines:?}"
            );
        }
        let required = request("INVITE", "sip:bob@x", &["Proxy-Require: one, two"]);
        let answer = check(&required, &own(), &key()).unwrap_err();
        assert_eq!(answer.headers, [("Unsupported", "one, two".to_owned())]);
    }

    #[test]
    fn at_the_last_hop_options_may_be_answered_but_not_sent_on() {
        for method in ["OPTIONS", "REGISTER"] {
            let last = request(method, "sip:example.test", &["Max-Forwards: 0"]);
            assert_eq!(refused(&last), None);
            let aimed = aim(&last, &mut Edits::default(), &Aim::default());
            assert_eq!(aimed.unwrap_err().status, 483);
        }
    }
}

mod loops {
    use super::*;

    /// What leaves us and comes back after other proxies did this to it.
    fn comes_back(request: &Message, changed: impl Fn(&str) -> String) -> Message {
        let mut edits = Edits::default();
        aim(request, &mut edits, &Aim::default()).unwrap();
        let branch = format!("z9hG4bKours.{}", key().mark(request));
        stamp_with(request, &mut edits, branch.as_bytes());
        let out = text(rendered(request, &edits).bytes());
        let (line, rest) = out.split_once("\r\n").unwrap();
        let back = format!("{line}\r\nVia: SIP/2.0/UDP other.test;branch=z9hG4bKother\r\n{rest}");
        Message::parse(changed(&back).into()).unwrap()
    }

    fn stamp_with(request: &Message, edits: &mut Edits, branch: &[u8]) {
        let stamped = Stamp {
            via: UDP,
            branch,
            rport: false,
            record_route: Some(RecordRoute {
                from: UDP,
                params: "",
            }),
        };
        stamp(request, edits, &stamped).unwrap();
    }

    #[test]
    fn a_request_that_comes_back_unchanged_loops() {
        let first = request("INVITE", "sip:bob@example.test", &["Max-Forwards: 70"]);
        let back = comes_back(&first, str::to_owned);
        assert_eq!(refused(&back), Some((482, "Loop Detected".to_owned())));
    }

    #[test]
    fn a_request_that_comes_back_for_another_user_spirals() {
        let first = request(
            "INVITE",
            "sip:bob@example.test",
            &["Proxy-Authorization: x"],
        );
        for (from, to) in [
            ("sip:bob@example.test SIP", "sip:carol@example.test SIP"),
            ("Call-ID: c", "Call-ID: d"),
            ("CSeq: 5 ", "CSeq: 6 "),
            ("tag=a", "tag=x"),
            ("From:", "Route: <sip:192.0.2.9;lr>\r\nFrom:"),
            ("Proxy-Authorization: x", "Proxy-Authorization: y"),
        ] {
            let back = comes_back(&first, |message| {
                assert!(message.contains(from), "{from}");
                message.replacen(from, to, 1)
            });
            assert_eq!(refused(&back), None, "{to}");
        }
    }

    #[test]
    fn marks_of_others_mean_nothing() {
        let mark = key().mark(&request("INVITE", "sip:bob@example.test", &[]));
        for (via, looped) in [
            (
                format!("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx.{mark}"),
                true,
            ),
            (
                format!("SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKx.{mark}"),
                false,
            ),
            (
                format!("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx{mark}"),
                false,
            ),
            ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx.".to_owned(), false),
            ("SIP/2.0/UDP 192.0.2.9".to_owned(), false),
        ] {
            let line = format!("Via: {via}");
            let came = request("INVITE", "sip:bob@example.test", &[&line]);
            assert_eq!(refused(&came).is_some(), looped, "{via}");
        }
        let other = LoopKey::new([3, 4]);
        assert_ne!(
            other.mark(&request("INVITE", "sip:bob@example.test", &[])),
            mark
        );
    }

    #[test]
    fn a_stateless_branch_is_that_of_its_transaction() {
        let branch = |message: &Message| key().stateless_branch(message);
        let invite = request("INVITE", "sip:bob@x", &["Proxy-Authorization: x"]);
        assert!(branch(&invite).starts_with("z9hG4bK"));
        assert_eq!(branch(&invite), branch(&invite.clone()));
        assert_eq!(
            branch(&invite),
            branch(&request("CANCEL", "sip:bob@x", &[]))
        );
        let ack = request("ACK", "sip:bob@x", &["X-Dialog: yes"]);
        assert_eq!(branch(&invite), branch(&ack));

        let edited = |from: &str, to: &str| {
            let message = text(invite.bytes()).replacen(from, to, 1);
            Message::parse(message.into()).unwrap()
        };
        assert_ne!(
            branch(&invite),
            branch(&edited("z9hG4bKcaller", "z9hG4bKcaller2"))
        );
        // From before RFC 3261: without the magic, the rest of the request tells transactions apart.
        let old = edited("z9hG4bKcaller", "1");
        assert_eq!(branch(&old), branch(&old.clone()));
        let older = text(old.bytes()).replace("CSeq: 5", "CSeq: 6");
        assert_ne!(branch(&old), branch(&Message::parse(older.into()).unwrap()));

        // And it is found when it comes back.
        let line = format!("Via: SIP/2.0/UDP 192.0.2.9;branch={}", branch(&invite));
        let back = request("INVITE", "sip:bob@x", &["Proxy-Authorization: x", &line]);
        assert_eq!(refused(&back).map(|(status, _)| status), Some(482));
    }
}

mod sources {
    use super::*;

    fn marked(via: &str, from: &str, force: bool) -> String {
        let line = format!("OPTIONS sip:x SIP/2.0\r\nVia: {via}, SIP/2.0/UDP below\r\n\r\n");
        let message = Message::parse(line.into()).unwrap();
        let mut edits = Edits::default();
        mark_source(&message, &mut edits, &source(from), force).unwrap();
        let vias = all(&rendered(&message, &edits), HeaderId::Via);
        assert_eq!(vias[1], "SIP/2.0/UDP below");
        vias[0].clone()
    }

    #[test]
    fn the_top_via_says_where_the_request_came_from() {
        let at = "192.0.2.1:5062";
        for (via, force, expected) in [
            (
                "SIP/2.0/UDP 192.0.2.1:5062;branch=b",
                false,
                "SIP/2.0/UDP 192.0.2.1:5062;branch=b",
            ),
            (
                "SIP/2.0/UDP 10.0.0.1;branch=b",
                false,
                "SIP/2.0/UDP 10.0.0.1;branch=b;received=192.0.2.1",
            ),
            (
                "SIP/2.0/UDP host.test",
                false,
                "SIP/2.0/UDP host.test;received=192.0.2.1",
            ),
            (
                "SIP/2.0/UDP 192.0.2.1;rport;branch=b",
                false,
                "SIP/2.0/UDP 192.0.2.1;rport=5062;branch=b;received=192.0.2.1",
            ),
            (
                "SIP/2.0/UDP 192.0.2.1;branch=b",
                true,
                "SIP/2.0/UDP 192.0.2.1;branch=b;received=192.0.2.1;rport=5062",
            ),
            // What the sender made up.
            (
                "SIP/2.0/UDP 192.0.2.1;received=203.0.113.5;rport=9",
                false,
                "SIP/2.0/UDP 192.0.2.1;received=192.0.2.1;rport=5062",
            ),
        ] {
            assert_eq!(marked(via, at, force), expected);
        }
        assert_eq!(
            marked("SIP/2.0/UDP [2001:db8::1];rport", "[2001:db8::2]:7", false),
            "SIP/2.0/UDP [2001:db8::1];rport=7;received=2001:db8::2"
        );
        assert_eq!(
            marked("SIP/2.0/UDP 192.0.2.1", "[::ffff:192.0.2.1]:5060", false),
            "SIP/2.0/UDP 192.0.2.1"
        );
    }
}

mod routes {
    use super::*;

    #[test]
    fn a_request_without_route_is_left_alone() {
        let plain = request("INVITE", "sip:bob@example.test", &[]);
        let (found, uri, routes) = preprocessed(&plain);
        assert_eq!((found.routed, found.params), (Routed::None, None));
        assert_eq!((uri.as_str(), routes.len()), ("sip:bob@example.test", 0));
    }

    #[test]
    fn our_route_is_taken_off_within_a_dialog() {
        let bye = request(
            "BYE",
            "sip:bob@192.0.2.2",
            &[
                "Route: <sip:192.0.2.9;lr;ftag=a>, <sip:next.test;lr>",
                "Route: <sip:last.test;lr>",
                "X-Dialog: yes",
            ],
        );
        let (found, uri, routes) = preprocessed(&bye);
        assert_eq!(found.routed, Routed::Loose);
        assert_eq!(found.param(b"FTAG"), Some(&b"a"[..]));
        assert_eq!(found.param(b"lr"), Some(&b""[..]));
        assert_eq!(found.param(b"none"), None);
        assert_eq!(uri, "sip:bob@192.0.2.2");
        assert_eq!(routes, ["<sip:next.test;lr>", "<sip:last.test;lr>"]);
    }

    #[test]
    fn a_double_record_route_is_taken_off_as_one() {
        let both = "Route: <sip:192.0.2.9;lr;r2=on;x=1>,<sip:192.0.2.9:5070;transport=tcp;lr;r2=on>,<sip:192.0.2.9;lr>";
        let bye = request("BYE", "sip:bob@192.0.2.2", &[both, "X-Dialog: yes"]);
        let (found, _, routes) = preprocessed(&bye);
        assert_eq!(found.routed, Routed::Loose);
        assert_eq!(found.param(b"x"), Some(&b"1"[..]));
        // The third is that of an earlier pass through us, in a spiral.
        assert_eq!(routes, ["<sip:192.0.2.9;lr>"]);
        let single = request(
            "BYE",
            "sip:bob@192.0.2.2",
            &["Route: <sip:192.0.2.9;lr>, <sip:192.0.2.9;lr>"],
        );
        assert_eq!(preprocessed(&single).2.len(), 1);
    }

    #[test]
    fn an_outbound_proxys_route_is_preloaded() {
        let route = "Route: <sip:example.test;lr>";
        let (found, _, routes) = preprocessed(&request("INVITE", "sip:bob@far.test", &[route]));
        assert_eq!((found.routed, routes.len()), (Routed::Preloaded, 0));
        let others = "Route: <sip:other.test;lr>";
        let (found, _, routes) = preprocessed(&request("INVITE", "sip:bob@far.test", &[others]));
        assert_eq!((found.routed, routes.len()), (Routed::None, 1));
    }

    /// RFC 3261 16.12.1.2, its second half: the request comes from a strict router.
    #[test]
    fn what_a_strict_router_did_is_repaired() {
        let bye = request(
            "BYE",
            "sip:192.0.2.9;lr;ftag=a",
            &[
                "Route: <sip:next.test;lr>",
                "Route: <sip:last.test;lr>, <sip:bob@192.0.2.2;x=y>",
                "X-Dialog: yes",
            ],
        );
        let (found, uri, routes) = preprocessed(&bye);
        assert_eq!(found.routed, Routed::Strict);
        assert_eq!(found.param(b"ftag"), Some(&b"a"[..]));
        assert_eq!(uri, "sip:bob@192.0.2.2;x=y");
        assert_eq!(routes, ["<sip:next.test;lr>", "<sip:last.test;lr>"]);

        let alone = request("BYE", "sip:192.0.2.9;lr", &["Route: <sip:bob@192.0.2.2>"]);
        let (found, uri, routes) = preprocessed(&alone);
        assert_eq!((found.routed, routes.len()), (Routed::Strict, 0));
        assert_eq!(uri, "sip:bob@192.0.2.2");

        // Both of a double Record-Route: one in the request URI, one on top of Route.
        let double = request(
            "BYE",
            "sip:192.0.2.9;lr;r2=on",
            &["Route: <sip:192.0.2.9:5070;transport=tcp;lr;r2=on>, <sip:bob@192.0.2.2>"],
        );
        let (found, uri, routes) = preprocessed(&double);
        assert_eq!((found.routed, routes.len()), (Routed::Strict, 0));
        assert_eq!(uri, "sip:bob@192.0.2.2");
    }

    #[test]
    fn our_maddr_is_taken_off() {
        for (uri, expected) in [
            (
                "sip:bob@far.test:5070;maddr=192.0.2.9;transport=tcp;x=1",
                "sip:bob@far.test;x=1",
            ),
            ("sip:far.test;maddr=example.test", "sip:far.test"),
            (
                "sip:bob:pw@far.test;maddr=192.0.2.8",
                "sip:bob:pw@far.test;maddr=192.0.2.8",
            ),
        ] {
            let (_, uri, _) = preprocessed(&request("OPTIONS", uri, &[]));
            assert_eq!(uri, expected);
        }
    }

    #[test]
    fn routes_that_cannot_be_read_are_left() {
        for route in [
            "Route: garbage",
            "Route: <",
            "Route: <sip:192.0.2.9;lr",
            "Route:",
        ] {
            let bad = request("BYE", "sip:192.0.2.9;lr", &[route]);
            let (found, uri, _) = preprocessed(&bad);
            assert_eq!(found.routed, Routed::None, "{route}");
            assert_eq!(uri, "sip:192.0.2.9;lr");
        }
    }
}

mod aims {
    use super::*;

    fn aimed(request: &Message, to: &Aim<'_>) -> (String, Message) {
        let mut edits = Edits::default();
        let next = aim(request, &mut edits, to).unwrap();
        let uri = text(next.uri(edits.view(request)).unwrap().raw);
        (uri, rendered(request, &edits))
    }

    #[test]
    fn a_target_gets_its_own_copy() {
        let invite = request("INVITE", "sip:bob@example.test", &["Max-Forwards: 70"]);
        let (next, copy) = aimed(
            &invite,
            &Aim {
                uri: Some(b"sip:bob@192.0.2.2:5080"),
                breadth: Some(30),
                ..Aim::default()
            },
        );
        assert_eq!(next, "sip:bob@192.0.2.2:5080");
        assert_eq!(copy.request_uri(), b"sip:bob@192.0.2.2:5080");
        assert_eq!(copy.max_forwards(), Some(Ok(69)));
        assert_eq!(copy.header(HeaderId::MaxBreadth), Some(&b"30"[..]));
        let none = request("INVITE", "sip:bob@example.test", &[]);
        assert_eq!(aimed(&none, &Aim::default()).1.max_forwards(), Some(Ok(70)));
    }

    #[test]
    fn the_path_stands_before_the_route() {
        let invite = request("INVITE", "sip:bob@x", &["Route: <sip:r.test;lr>"]);
        let (next, copy) = aimed(
            &invite,
            &Aim {
                path: &[b"<sip:p1.test;lr>", b"<sip:p2.test;lr>"],
                ..Aim::default()
            },
        );
        assert_eq!(next, "sip:p1.test;lr");
        assert_eq!(
            all(&copy, HeaderId::Route),
            ["<sip:p1.test;lr>", "<sip:p2.test;lr>", "<sip:r.test;lr>"]
        );
    }

    #[test]
    fn what_is_given_goes_before_route_and_request_uri() {
        let invite = request("INVITE", "sip:bob@x", &["Route: <sip:r.test;lr>"]);
        assert_eq!(aimed(&invite, &Aim::default()).0, "sip:r.test;lr");
        let given = Aim {
            next_hop: Some(b"sip:given.test"),
            ..Aim::default()
        };
        let (next, copy) = aimed(&invite, &given);
        assert_eq!(next, "sip:given.test");
        assert_eq!(all(&copy, HeaderId::Route), ["<sip:r.test;lr>"]);
    }

    /// RFC 3261 16.12.1.2, its first half.
    #[test]
    fn a_strict_router_gets_what_it_wants() {
        let bye = request(
            "BYE",
            "sip:callee@u2.domain.com",
            &["Route: <sip:p2.middle.com>,<sip:p3.middle.com;lr>"],
        );
        let (next, copy) = aimed(&bye, &Aim::default());
        assert_eq!(next, "sip:p2.middle.com");
        assert_eq!(copy.request_uri(), b"sip:p2.middle.com");
        assert_eq!(
            all(&copy, HeaderId::Route),
            ["<sip:p3.middle.com;lr>", "<sip:callee@u2.domain.com>"]
        );
        // And the way back from there to a loose router, us.
        let mut own = Own::new();
        own.add_domain("p2.middle.com");
        let strict = request(
            "BYE",
            "sip:p2.middle.com;lr",
            &["Route: <sip:p3.middle.com;lr>, <sip:callee@u2.domain.com>"],
        );
        let mut edits = Edits::default();
        let found = preprocess(&strict, &mut edits, &own).unwrap();
        assert_eq!(found.routed, Routed::Strict);
        let repaired = rendered(&strict, &edits);
        assert_eq!(repaired.request_uri(), b"sip:callee@u2.domain.com");
        assert_eq!(all(&repaired, HeaderId::Route), ["<sip:p3.middle.com;lr>"]);
    }

    #[test]
    fn what_cannot_be_aimed_is_refused() {
        let of = |uri: &str, lines: &[&str], to: &Aim<'_>| {
            let message = request("INVITE", uri, lines);
            let mut edits = Edits::default();
            let next = aim(&message, &mut edits, to);
            let uri = next.and_then(|next| next.uri(edits.view(&message)).map(|_| ()));
            uri.unwrap_err().status
        };
        assert_eq!(of("sip:b@x", &["Max-Forwards: 0"], &Aim::default()), 483);
        assert_eq!(of("sip:b@x", &["Route: garbage"], &Aim::default()), 400);
        assert_eq!(of("tel:+1", &[], &Aim::default()), 416);
        let bad = Aim {
            uri: Some(b"sip:a b"),
            ..Aim::default()
        };
        assert_eq!(of("sip:b@x", &[], &bad), 400);
    }

    #[test]
    fn breadth_is_shared_out_and_kept() {
        let breadth = |lines: &[&str]| Breadth::of(request("INVITE", "sip:b@x", lines).view());
        let shares = |lines: &[&str], branches| -> Result<Vec<_>, u16> {
            let breadth = breadth(lines).map_err(|answer| answer.status)?;
            let shares = breadth.share(branches).map_err(|answer| answer.status)?;
            Ok(shares.collect())
        };
        assert_eq!(shares(&[], 1), Ok(vec![None]));
        assert_eq!(shares(&["Max-Breadth: 1"], 1), Ok(vec![Some(1)]));
        assert_eq!(shares(&[], 2), Ok(vec![Some(30), Some(30)]));
        assert_eq!(shares(&[], 61), Err(440));
        assert_eq!(shares(&["Max-Breadth: 0"], 1), Err(440));
        assert_eq!(shares(&["Max-Breadth: x"], 1), Err(400));
    }

    proptest! {
        #[test]
        fn no_breadth_is_lost_or_made(total in 1u32..500, branches in 1usize..100) {
            let line = format!("Max-Breadth: {total}");
            let breadth = Breadth::of(request("INVITE", "sip:b@x", &[&line]).view()).unwrap();
            match breadth.share(branches) {
                Ok(shares) => {
                    let shares: Vec<_> = shares.map(|share| share.unwrap()).collect();
                    prop_assert_eq!(shares.len(), branches);
                    prop_assert_eq!(shares.iter().sum::<u32>(), total);
                    prop_assert!(shares.iter().all(|share| *share >= 1));
                    prop_assert!(shares[0] - shares[branches - 1] <= 1);
                }
                Err(answer) => {
                    prop_assert_eq!(answer.status, 440);
                    prop_assert!(branches > total as usize);
                }
            }
        }
    }
}

mod stamps {
    use super::*;

    fn stamped(
        uri: &str,
        from: Interface<'static>,
        to: Interface<'static>,
        params: &str,
    ) -> Vec<String> {
        let line = "Record-Route: <sip:before.test;lr>";
        let invite = request("INVITE", uri, &[line]);
        let mut edits = Edits::default();
        let with = Stamp {
            via: to,
            branch: b"z9hG4bKours.00",
            rport: true,
            record_route: Some(RecordRoute { from, params }),
        };
        stamp(&invite, &mut edits, &with).unwrap();
        let copy = rendered(&invite, &edits);
        let vias = all(&copy, HeaderId::Via);
        let transport = to.transport;
        assert_eq!(
            vias,
            [
                format!(
                    "SIP/2.0/{transport} {};branch=z9hG4bKours.00;rport",
                    to.sent_by
                )
                .as_str(),
                VIA
            ]
        );
        let mut routes = all(&copy, HeaderId::RecordRoute);
        assert_eq!(routes.pop().as_deref(), Some("<sip:before.test;lr>"));
        routes
    }

    #[test]
    fn one_record_route_on_one_socket_two_between_two() {
        assert_eq!(stamped("sip:b@x", UDP, UDP, ""), ["<sip:192.0.2.9;lr>"]);
        assert_eq!(
            stamped("sip:b@x", UDP, TCP, "ftag=a;x"),
            [
                "<sip:192.0.2.9:5070;transport=tcp;lr;r2=on;ftag=a;x>",
                "<sip:192.0.2.9;lr;r2=on;ftag=a;x>"
            ]
        );
        let tls = Interface {
            transport: Transport::Tls,
            sent_by: "[2001:db8::9]",
        };
        assert_eq!(
            stamped("sips:b@x", tls, tls, ";x"),
            ["<sips:[2001:db8::9];lr;x>"]
        );
        assert_eq!(
            stamped("sip:b@x", tls, tls, ""),
            ["<sip:[2001:db8::9];transport=tls;lr>"]
        );
    }

    /// The dialog's route set, used from both ends, comes back to us and leaves nothing of ours behind.
    #[test]
    fn what_we_record_we_recognise() {
        for (from, to) in [(UDP, UDP), (UDP, TCP), (TCP, UDP)] {
            let recorded = stamped("sip:b@x", from, to, "ftag=a");
            let mut reversed = recorded.clone();
            reversed.reverse();
            for routes in [recorded, reversed] {
                let line = format!("Route: {}", routes.join(", "));
                let bye = request("BYE", "sip:bob@192.0.2.2", &[&line, "X-Dialog: yes"]);
                let (found, _, left) = preprocessed(&bye);
                assert_eq!((found.routed, left.len()), (Routed::Loose, 0));
                assert_eq!(found.param(b"ftag"), Some(&b"a"[..]));
            }
        }
    }

    #[test]
    fn a_script_cannot_break_out_of_its_parameters() {
        let invite = request("INVITE", "sip:b@x", &[]);
        for params in [
            "x>, <sip:evil.test;lr",
            "x?Subject=y",
            "x@evil.test",
            "x y",
            "x\r\nA: b",
            "a;;b",
        ] {
            let with = Stamp {
                via: UDP,
                branch: b"z9hG4bK1",
                rport: false,
                record_route: Some(RecordRoute { from: UDP, params }),
            };
            assert!(
                stamp(&invite, &mut Edits::default(), &with).is_err(),
                "{params}"
            );
        }
    }
}

proptest! {
    /// Whatever stands in Route, the request is refused or can be sent and read again, with one Via and one hop less.
    #[test]
    fn noise_in_the_route_set(uri in "sip:[a-z;=@.]{1,12}", routes in prop::collection::vec("[<>a-z:;,=.\" ]{0,24}", 0..4)) {
        let lines: Vec<_> = routes.iter().map(|route| format!("Route: {route}")).collect();
        let mut lines: Vec<_> = lines.iter().map(String::as_str).collect();
        lines.push("Max-Forwards: 10");
        let message = request("INVITE", &uri, &lines);
        let mut edits = Edits::default();
        if preprocess(&message, &mut edits, &own()).is_err() || aim(&message, &mut edits, &Aim::default()).is_err() {
            return Ok(());
        }
        let with = Stamp { via: UDP, branch: b"z9hG4bK1", rport: false, record_route: Some(RecordRoute { from: TCP, params: "" }) };
        stamp(&message, &mut edits, &with).unwrap();
        let copy = rendered(&message, &edits);
        prop_assert_eq!(copy.max_forwards(), Some(Ok(9)));
        prop_assert_eq!(all(&copy, HeaderId::Via).len(), 2);
    }
}
