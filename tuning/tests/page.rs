//! The page for operators: every command of docs/tuning.md, with what the page says that it prints.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mainspring_tuning::{Profile, command};

/// With this variable set the samples of the page are written anew: look at the difference before committing it.
const REWRITE: &str = "MAINSPRING_REWRITE_PAGE";

/// A file that the page's server is told to change.
const CHANGED: &str = "proc/sys/kernel/timer_migration";

#[test]
fn the_page_shows_what_the_commands_print() {
    let path = root().join("docs/tuning.md");
    let page = fs::read_to_string(&path).expect("the page");
    let mut blocks: Vec<String> = page.split("```").map(str::to_owned).collect();
    let mut commands = 0;
    let mut undone = None;
    for index in (1..blocks.len()).step_by(2) {
        let Some(line) = blocks[index].strip_prefix("sh\n") else { continue };
        let line = line.trim().to_owned();
        let printed = run(&line);
        commands += 1;
        if line.contains(" undo ") {
            undone = Some(fs::read_to_string(server().join(CHANGED)).expect("the file"));
        }
        let Some(sample) = blocks.get_mut(index + 2).filter(|block| block.starts_with("text\n"))
        else {
            continue;
        };
        if std::env::var_os(REWRITE).is_some() {
            *sample = format!("text\n{printed}");
        }
        assert_eq!(sample.strip_prefix("text\n"), Some(printed.as_str()), "{line}");
    }
    assert!(commands >= 14, "only {commands} commands were found");
    let recorded = root().join("tuning/tests/machines/firecracker-2vcpu").join(CHANGED);
    assert_eq!(undone, fs::read_to_string(recorded).ok(), "the page leads there and back");
    if std::env::var_os(REWRITE).is_some() {
        fs::write(path, blocks.join("```")).expect("the page");
    }
}

#[test]
fn the_profile_on_the_page_is_one() {
    let page = fs::read_to_string(root().join("docs/tuning.md")).expect("the page");
    let profiles: Vec<&str> =
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(profiles.len(), 1);
    for text in profiles {
        Profile::parse("page", text).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_program_is_the_library() {
    let output = Command::new(env!("CARGO_BIN_EXE_mainspring-tune"))
        .args(["explain", "mem.thp"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(output.stdout).expect("text"),
        run("mainspring-tune explain mem.thp")
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The machine of the page that is changed.
fn server() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("page-server")
}

/// Runs a line of the page in a place of its own, and returns what it prints.
fn run(line: &str) -> String {
    let saved = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page-saved");
    let _ = fs::remove_dir_all(&saved);
    if line.contains(" record server ") {
        let _ = fs::remove_dir_all(server());
    }
    let line = line.replace("cargo run --release -p mainspring-tuning --", "mainspring-tune");
    let words = line.split_whitespace().map(|word| match word {
        "saved" => saved.clone().into_os_string(),
        "server" => server().into_os_string(),
        word if word.starts_with("tuning/") => root().join(word).into_os_string(),
        word => word.into(),
    });
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let code = command::run(words, &mut out, &mut errors);
    assert_eq!(String::from_utf8(errors).expect("text"), "", "{line}");
    assert!(code <= 1, "{line}");
    String::from_utf8(out).expect("text").replace(&server().display().to_string(), "server")
}
