//! Each bad config of tests/ui beside the message that it must give.
//!
//! `NAME.toml` is checked (with the arguments in `NAME.args`, one a line, where that is), and what `switchhook check` writes to its standard
//! error must be `NAME.stderr`. `SWITCHHOOK_UI=write` writes those files instead; read them before you commit them.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn each_bad_config_gives_its_message() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let write = std::env::var_os("SWITCHHOOK_UI").is_some_and(|value| value == "write");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_name().unwrap();
        let args = fs::read_to_string(file.with_extension("args")).unwrap_or_default();
        let output = Command::new(env!("CARGO_BIN_EXE_switchhook"))
            .current_dir(&folder)
            .arg("check")
            .arg(name)
            .args(args.lines())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            output.status.code(),
            Some(1),
            "{} must be refused: {said}",
            file.display()
        );
        let expected = file.with_extension("stderr");
        if write {
            fs::write(&expected, &said).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", file.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "not the message that stands beside it:\n{}",
        wrong.join("\n")
    );
}
