//! What loads, what does not, and what a person is told then.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails as its test does"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use support::{Book, componentize, guest, invite, load, load_with, on_request, run, settings};
use switchhook_script::{Event, Grants, LoadError, Outcome, Route, Script, Settings};

const DONE: &str = "call $done";
const LOG: &str =
    r#"(import "switchhook:script/log@0.1.0" "write" (func $write (param i32 i32 i32)))"#;

fn refused(settings: Settings, wasm: &[u8]) -> LoadError {
    let loaded = Script::load(settings, Arc::new(Book::default()), wasm);
    loaded.err().expect("the load is refused")
}

#[test]
fn core_modules_and_components_both_load() {
    let module = on_request("", DONE);
    for wasm in [componentize(&module), module] {
        let (script, mut pool, _) = load(&wasm);
        assert_eq!(run(&mut pool, invite()).1, Ok(Outcome::Done));
        let generation = script.current();
        assert!(generation.handles_requests() && !generation.handles_replies());
        assert_eq!(pool.idle(), 1, "the instance is used again");
    }
}

#[test]
fn a_missing_grant_is_told_with_the_line_to_write() {
    let wasm = on_request(
        LOG,
        "(call $write (i32.const 0) (i32.const 0) (i32.const 0)) call $done",
    );
    let mut settings = settings();
    settings.grants = Grants::of(["request"]).unwrap();
    let error = refused(settings, &wasm).to_string();
    assert_eq!(
        error,
        "script `test` uses log without a grant; allow it in switchhook.toml, in the [[script]] named `test`:\n    \
         grants = [\"log\", \"request\"]"
    );
}

#[test]
fn nothing_is_needed_for_what_is_not_used() {
    let mut settings = settings();
    settings.grants = Grants::default();
    load_with(settings, &on_request("", DONE));
}

#[test]
fn types_alone_need_no_grant() {
    // `registrar-route` names `registrar.binding`, so the component imports that interface for its types.
    let wasm = guest(
        &["request-route", "registrar-route"],
        "",
        r#"(func (export "switchhook:script/request-route@0.1.0#on-request") (result i32) call $done)
           (func (export "switchhook:script/registrar-route@0.1.0#on-expired") (param i32) (result i32) call $ok)"#,
    );
    let mut settings = settings();
    settings.grants = Grants::default();
    let (script, ..) = load_with(settings, &wasm);
    assert!(script.current().handles_expired());
}

#[test]
fn an_import_that_the_host_does_not_know_is_named() {
    let component = wat::parse_str(
        r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance (export "now" (func)))))"#,
    )
    .unwrap();
    let error = refused(settings(), &component).to_string();
    assert_eq!(
        error,
        "script `test` imports what this host does not offer: wasi:clocks/wall-clock@0.2.0"
    );
    // A later version of our own is one too.
    let component = wat::parse_str(
        r#"(component (import "switchhook:script/log@0.9.0" (instance (export "now" (func)))))"#,
    )
    .unwrap();
    assert!(matches!(
        refused(settings(), &component),
        LoadError::UnknownImports { .. }
    ));
}

#[test]
fn what_is_no_script_is_told() {
    let text = |wasm: &[u8]| refused(settings(), wasm).to_string();
    let error = text(&wat::parse_str("(component)").unwrap());
    assert_eq!(
        error,
        "script `test` handles nothing: it exports no interface of switchhook:script@0.1.0"
    );
    let error = text(b"\x7fELF");
    assert!(
        error.starts_with("this is no module that can be loaded: "),
        "{error}"
    );
    // A core module without the contract's metadata becomes a component without exports.
    let error = text(&wat::parse_str("(module (func (export \"run\")))").unwrap());
    assert!(error.contains("handles nothing"), "{error}");
    let error = text(b"\0asm\x01\0\0\0 and so on");
    assert!(
        error.starts_with("this is no module that can be loaded: as a core module: "),
        "{error}"
    );
    let mut small = settings();
    small.limits.code = 100;
    let error = refused(small, &on_request("", DONE)).to_string();
    assert!(
        error.ends_with("more than the 100 that are allowed"),
        "{error}"
    );
}

/// A guest with a lifecycle; `init` has this body.
fn with_init(init: &str) -> Vec<u8> {
    guest(
        &["lifecycle", "request-route", "failure-route"],
        "",
        &format!(
            r#"(data (i32.const 1024) "no such luck" "busy")
            (func (export "switchhook:script/lifecycle@0.1.0#init") (param i32 i32) (result i32) {init})
            (func (export "switchhook:script/lifecycle@0.1.0#export-state") (result i32) call $ok)
            (func (export "switchhook:script/lifecycle@0.1.0#import-state") (param i32 i32) (result i32) call $ok)
            (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32) call $done)
            (func (export "switchhook:script/failure-route@0.1.0#on-failure") (param i32 i32) (result i32)
                call $done)"#
        ),
    )
}

/// `result<list<handler>, string>`: ok with one handler of this family, named `busy`.
fn handles(family: u32) -> String {
    format!(
        "(i32.store8 (i32.const 64) (i32.const 0))
         (i32.store (i32.const 68) (i32.const 80))
         (i32.store (i32.const 72) (i32.const 1))
         (i32.store8 (i32.const 80) (i32.const {family}))
         (i32.store (i32.const 84) (i32.const 1036))
         (i32.store (i32.const 88) (i32.const 4))
         (i32.const 64)"
    )
}

#[test]
fn init_says_what_the_script_handles() {
    let (script, mut pool, _) = load(&with_init(&handles(5)));
    let failure = |name: &str| Route::Failure { name: name.into() };
    let generation = script.current();
    assert!(generation.handles(&failure("busy")) && !generation.handles(&failure("other")));
    assert!(!generation.handles_requests(), "it was not named");
    let (_, outcome) = run(
        &mut pool,
        Event::new(
            failure("busy"),
            Some(support::current(support::INVITE)),
            None,
        ),
    );
    assert_eq!(outcome, Ok(Outcome::Done));
}

#[test]
fn init_can_refuse_fail_and_be_wrong() {
    let no = "(i32.store8 (i32.const 64) (i32.const 1))
         (i32.store (i32.const 68) (i32.const 1024))
         (i32.store (i32.const 72) (i32.const 12))
         (i32.const 64)";
    let error = refused(settings(), &with_init(no)).to_string();
    assert_eq!(error, "`init` refused: no such luck");
    let error = refused(settings(), &with_init(&handles(2))).to_string();
    assert_eq!(
        error,
        "`init` says that it handles onsend-route ``, but the script does not export onsend-route"
    );
    let error = refused(settings(), &with_init("unreachable")).to_string();
    assert!(error.starts_with("init: the script trapped: "), "{error}");
    let mut hasty = settings();
    hasty.limits.init_deadline = std::time::Duration::from_millis(20);
    let error = refused(hasty, &with_init("(loop $again br $again) unreachable")).to_string();
    assert!(error.contains("20ms of processor time"), "{error}");
}

fn entries(dir: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn compiled_code_is_cached_for_this_user_alone() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("code");
    let mut settings = settings();
    settings.cache = Some(cache.clone());
    let wasm = on_request("", DONE);
    load_with(settings.clone(), &wasm);
    let [entry] = &entries(&cache)[..] else {
        panic!("one entry")
    };
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache), mode(entry)), (0o700, 0o600));
    let good = fs::read(entry).unwrap();
    // It is really used: a second load leaves it as it is.
    let written = fs::metadata(entry).unwrap().modified().unwrap();
    load_with(settings.clone(), &wasm);
    assert_eq!(fs::metadata(entry).unwrap().modified().unwrap(), written);
    // Other limits compile to the same code; another module does not.
    load_with(settings, &on_request("", "nop call $done"));
    assert_eq!(entries(&cache).len(), 2);
    assert_eq!(fs::read(entry).unwrap(), good);
}

#[test]
fn a_spoilt_cache_entry_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.cache = Some(dir.path().into());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let wasm = on_request("", DONE);
    load_with(settings.clone(), &wasm);
    let [entry] = &entries(dir.path())[..] else {
        panic!("one entry")
    };
    let good = fs::read(entry).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for spoilt in [
        flipped,
        good[..good.len() / 3].to_vec(),
        b"hello".to_vec(),
        Vec::new(),
    ] {
        fs::write(entry, &spoilt).unwrap();
        let (_script, mut pool, _) = load_with(settings.clone(), &wasm);
        assert_eq!(run(&mut pool, invite()).1, Ok(Outcome::Done));
        assert!(fs::read(entry).unwrap().starts_with(&good[..8]));
        assert_ne!(fs::read(entry).unwrap(), spoilt);
    }
    // An entry, then a directory, that others could have written is not trusted.
    fs::set_permissions(entry, fs::Permissions::from_mode(0o666)).unwrap();
    load_with(settings.clone(), &wasm);
    assert_eq!(
        fs::metadata(entry).unwrap().permissions().mode() & 0o777,
        0o600,
        "replaced by a rename"
    );
    fs::remove_file(entry).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    load_with(settings, &wasm);
    assert!(entries(dir.path()).is_empty(), "nothing is put there");
}

#[test]
fn the_cache_keeps_the_newest_and_clears_up() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    let old = |name: &str| {
        let file = fs::File::create(dir.path().join(name)).unwrap();
        file.set_modified(long_ago).unwrap();
    };
    (0..70).for_each(|n| old(&format!("{n}.cwasm")));
    old("0.1.tmp");
    old("notes.txt");
    let mut settings = settings();
    settings.cache = Some(dir.path().into());
    load_with(settings, &on_request("", DONE));
    let names = entries(dir.path());
    let code = names
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "cwasm"));
    assert_eq!(code.count(), 64);
    assert!(
        names
            .iter()
            .any(|path| fs::metadata(path).unwrap().len() > 1000),
        "the new one"
    );
    assert!(!dir.path().join("0.1.tmp").exists() && dir.path().join("notes.txt").exists());
}
