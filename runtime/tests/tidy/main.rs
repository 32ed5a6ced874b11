//! The tidy test: what a machine can check of the rules in CONTRIBUTING.md.
//!
//! It reads every text file of the workspace and reports all breaches at once, each with path, line and what to
//! change. Comments and string literals raise no false alarm where a rule is about code. Every rule is a pure
//! function of a path and a text, and has a test of its own with an example that breaks it.

mod commands;
mod finding;
mod imports;
mod layout;
mod manifests;
mod named_tests;
mod source;
mod tree;
mod unsafety;
mod words;

use finding::Finding;

#[test]
fn the_workspace_keeps_its_own_rules() {
    let tree = tree::Tree::of_workspace().expect("the workspace can be read");
    assert!(tree.files.len() > 20, "only {} files found: the walk is broken", tree.files.len());
    let mut findings: Vec<Finding> = Vec::new();
    for file in &tree.files {
        findings.extend(words::check(&file.path, &file.text));
        if file.path.ends_with(".rs") {
            findings.extend(layout::check(&file.path, &file.text));
            let code = source::code_of(&file.text);
            findings.extend(unsafety::check(&file.path, &code));
            findings.extend(imports::check(&file.path, &code));
        } else if file.path.ends_with("Cargo.toml") {
            findings.extend(manifests::check(&file.path, &file.text));
        } else if file.path.ends_with(".md") {
            findings.extend(commands::check(&file.path, &file.text, &tree));
            findings.extend(named_tests::check(&file.path, &file.text, &tree));
        }
    }
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(list.is_empty(), "{} breaches of the rules:\n{}", list.len(), list.join("\n"));
}
