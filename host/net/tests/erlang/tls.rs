//! TLS between nodes, and nodes without a port mapper.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use switchhook_net::erlang::{Epmd, Tls, TlsFiles};

use crate::otp::*;

/// An authority, a certificate for `localhost` and its key, by openssl.
fn keys(dir: &Path) -> TlsFiles {
    let run = |args: &[&str]| {
        let done = Command::new("openssl")
            .args(args)
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    run(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=authority",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
    ]);
    run(&[
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        "key.pem",
        "-out",
        "request.pem",
    ]);
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost").unwrap();
    run(&[
        "x509",
        "-req",
        "-in",
        "request.pem",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "names",
        "-out",
        "cert.pem",
    ]);
    TlsFiles {
        certificate: dir.join("cert.pem"),
        key: dir.join("key.pem"),
        authorities: dir.join("ca.pem"),
    }
}

#[test]
fn nodes_speak_tls() {
    if !erlang_is_here() || !switchhook_tests::has("openssl") {
        return;
    }
    let dir = std::env::temp_dir().join(format!("erlang-tls-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let files = keys(&dir);
    let at = dir.display();
    let options = format!(
        "{{certfile, \"{at}/cert.pem\"}}, {{keyfile, \"{at}/key.pem\"}}, {{cacertfile, \"{at}/ca.pem\"}}, {{verify, verify_peer}}"
    );
    let both = format!(
        "[{{server, [{options}, {{fail_if_no_peer_cert, true}}]}}, {{client, [{options}]}}]."
    );
    std::fs::write(dir.join("ssl.conf"), both).unwrap();
    let mapper = PortMapper::start(free_port());
    let file = dir.join("ssl.conf").display().to_string();
    let flags = [
        "-hidden",
        "-proto_dist",
        "inet_tls",
        "-ssl_dist_optfile",
        &file,
    ];
    let mut erlang = Erlang::start(mapper.port, "node1@localhost", "secret", &flags);
    let mut settings = settings(mapper.port, &[]);
    settings.node.name = name("proxy@localhost");
    settings.tls = Some(Tls::new(&files).unwrap());
    let ours = Ours::start(settings.clone());
    assert_eq!(erlang.eval("net_adm:ping('proxy@localhost')"), "pong");
    assert_eq!(
        erlang.eval(
            "X = binary:copy(<<7>>, 3000000), [X] =:= rpc:call('proxy@localhost', m, echo, [X])"
        ),
        "true"
    );
    drop(ours);
    settings.node.nodes = vec![name("node1@localhost")];
    settings.node.name = name("dials@localhost");
    let ours = Ours::start(settings);
    ours.wait_up("node1@localhost");
    assert_eq!(
        ours.rpc("erlang", "node", b"\x83j", 2000),
        Ok(atom("node1@localhost"))
    );
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn nodes_with_fixed_ports_need_no_port_mapper() {
    if !erlang_is_here() {
        return;
    }
    let port = free_port();
    let text = port.to_string();
    let flags = ["-hidden", "-start_epmd", "false", "-erl_epmd_port", &text];
    let mut erlang = Erlang::start(free_port(), THEIRS, "secret", &flags);
    let mut settings = settings(0, &[THEIRS]);
    settings.epmd = Epmd::Off;
    settings.listen = SocketAddr::from(([127, 0, 0, 2], port));
    settings.node.name = name("proxy@127.0.0.2");
    settings.addresses = vec![(name(THEIRS), SocketAddr::from(([127, 0, 0, 1], port)))];
    let ours = Ours::start(settings.clone());
    ours.wait_up(THEIRS);
    assert_eq!(ours.rpc("erlang", "node", b"\x83j", 2000), Ok(atom(THEIRS)));
    drop(ours);
    // A ping over the connection that is gone would fail.
    assert_eq!(
        erlang.eval(
            "F = fun F() -> nodes(hidden) =:= [] orelse begin timer:sleep(10), F() end end, F()"
        ),
        "true"
    );
    settings.node.nodes.clear();
    let ours = Ours::start(settings);
    assert_eq!(erlang.eval("net_adm:ping('proxy@127.0.0.2')"), "pong");
    drop(ours);
}
