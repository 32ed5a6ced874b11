//! Commands in the documentation exist: every line of a fenced `sh` block starts a known program, and what it
//! names (a package, a binary, an example, a test, a flag of our own programs) is in the workspace.

use super::finding::Finding;
use super::tree::Tree;

const CARGO: [&str; 11] =
    ["build", "check", "clippy", "deny", "doc", "fmt", "install", "new", "run", "test", "add"];
const PROGRAMS: [&str; 12] = [
    "git", "cd", "ulimit", "cat", "curl", "rustup", "sudo", "sysctl", "python3", "export",
    "docker", "jq",
];

/// Checks the fenced `sh` blocks of one document.
pub fn check(path: &str, text: &str, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if let Some(fence) = line.trim_start().strip_prefix("```") {
            inside = !inside && matches!(fence.trim(), "sh" | "bash");
        } else if inside && let Err(advice) = check_command(line, tree) {
            findings.push(Finding::new(path, number + 1, advice));
        }
    }
    findings
}

fn check_command(line: &str, tree: &Tree) -> Result<(), String> {
    let line = line.split(" #").next().unwrap_or("").trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let mut words = line.trim_start_matches("$ ").split_whitespace().peekable();
    while words.peek().is_some_and(|word| is_assignment(word)) {
        words.next();
    }
    let Some(program) = words.next() else { return Ok(()) };
    let rest: Vec<&str> = words.collect();
    let program = program.rsplit_once("target/release/").map_or(program, |(_, name)| name);
    match program {
        "cargo" => check_cargo(&rest, tree),
        ".ci/run" => tree.text(".ci/run").map(|_| ()).ok_or("no file .ci/run".to_owned()),
        known if PROGRAMS.contains(&known) => Ok(()),
        own => match folder_of_binary(own, tree) {
            Some(folder) => check_flags(&rest, &folder, tree),
            None => Err(format!("`{own}` is not a program of the workspace")),
        },
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit())
    })
}

fn check_cargo(arguments: &[&str], tree: &Tree) -> Result<(), String> {
    let arguments: Vec<&str> =
        arguments.iter().copied().skip_while(|a| a.starts_with('+')).collect();
    let Some(subcommand) = arguments.first() else { return Err("cargo does what?".into()) };
    if !CARGO.contains(subcommand) {
        return Err(format!("`cargo {subcommand}` is not in the list of known commands"));
    }
    let own = arguments.iter().position(|a| *a == "--").unwrap_or(arguments.len());
    let (to_cargo, to_program) = arguments.split_at(own);
    let mut program_folder = None;
    for pair in to_cargo.windows(2) {
        match pair[0] {
            "-p" | "--package" => {
                folder_of_package(pair[1], tree).ok_or(format!("no package `{}`", pair[1]))?;
            }
            "--bin" => {
                let folder = folder_of_binary(pair[1], tree);
                program_folder = Some(folder.ok_or(format!("no binary `{}`", pair[1]))?);
            }
            "--example" | "--test" | "--bench" => {
                find_target(pair[0], pair[1], tree)
                    .ok_or(format!("no {} `{}`", pair[0], pair[1]))?;
            }
            _ => {}
        }
    }
    match program_folder {
        Some(folder) => check_flags(to_program, &folder, tree),
        None => Ok(()),
    }
}

/// A flag of our own program stands in its source, as a string or as the name of a field.
fn check_flags(arguments: &[&str], folder: &str, tree: &Tree) -> Result<(), String> {
    for flag in arguments.iter().filter_map(|a| a.strip_prefix("--")).filter(|f| !f.is_empty()) {
        let flag = flag.split('=').next().unwrap_or(flag);
        let field = flag.replace('-', "_");
        let known = ["help", "version"].contains(&flag)
            || tree.below(folder).filter(|file| file.path.ends_with(".rs")).any(|file| {
                file.text.contains(&format!("{field}:"))
                    || file.text.contains(&format!("\"{flag}\""))
            });
        if !known {
            return Err(format!("no flag `--{flag}` in {folder}"));
        }
    }
    Ok(())
}

fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files.iter().filter_map(|file| {
        file.path.strip_suffix("Cargo.toml").map(|folder| (folder, file.text.as_str()))
    })
}

fn folder_of_package(name: &str, tree: &Tree) -> Option<String> {
    let line = format!("name = \"{name}\"");
    manifests(tree).find(|(_, text)| text.contains(&line)).map(|(folder, _)| folder.to_owned())
}

fn folder_of_binary(name: &str, tree: &Tree) -> Option<String> {
    let line = format!("name = \"{name}\"");
    let (folder, text) = manifests(tree).find(|(_, text)| {
        text.split("[[bin]]")
            .skip(1)
            .any(|bin| bin.split("\n[").next().unwrap_or("").contains(&line))
    })?;
    // An example has a folder of its own inside its crate.
    let path = text.split("path = \"").find(|part| part.starts_with(&format!("{name}/")));
    Some(if path.is_some() { format!("{folder}{name}/") } else { folder.to_owned() })
}

fn find_target(kind: &str, name: &str, tree: &Tree) -> Option<()> {
    let folder = match kind {
        "--example" => "examples/",
        "--bench" => "benches/",
        _ => "tests/",
    };
    let (file, module) = (format!("{folder}{name}.rs"), format!("{folder}{name}/main.rs"));
    tree.files.iter().find(|f| f.path.ends_with(&file) || f.path.ends_with(&module)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    fn advice_for(command: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let tree = Tree {
            files: vec![
                file(
                    "examples/Cargo.toml",
                    "name = \"ex\"\n[[bin]]\nname = \"flights\"\npath = \"flights/main.rs\"\n",
                ),
                file("examples/flights/options.rs", "pub struct Options { pub json: bool }"),
                file("runtime/tests/tidy/main.rs", "//! x"),
            ],
        };
        let text = format!("text\n```sh\n{command}\n```\n`cargo nonsense`\n");
        check("README.md", &text, &tree).into_iter().map(|finding| finding.advice).collect()
    }

    #[test]
    fn commands_that_exist_pass() {
        for command in [
            "cargo run --release --bin flights -- --json",
            "cargo test -p ex --test tidy",
            "RUST_LOG=debug cargo test --workspace   # all of them",
            "flights --json",
            "# a comment",
        ] {
            assert_eq!(advice_for(command), [""; 0], "{command}");
        }
    }

    #[test]
    fn commands_that_do_not_exist_are_found() {
        for command in [
            "cargo run --bin fligths",
            "cargo run --bin flights -- --jsno",
            "cargo test -p missing",
            "cargo test --test missing",
            "cargo frobnicate",
            "frobnicate --all",
            ".ci/run",
        ] {
            assert_eq!(advice_for(command).len(), 1, "{command}");
        }
    }
}
