//! Manifests: which crate may depend on which, and a reason beside every foreign dependency.

use super::finding::Finding;

/// Imports go one way. A crate that is not listed sees all.
const MAY_USE: [(&str, &[&str]); 7] = [
    ("tuning", &[]),
    ("runtime/macros", &[]),
    ("runtime", &["mainspring-macros", "mainspring-tuning"]),
    ("transport", &["mainspring", "mainspring-tuning"]),
    ("journal/macros", &[]),
    ("journal", &["mainspring", "mainspring-tuning", "mainspring-journal-macros"]),
    (
        "sharding",
        &["mainspring", "mainspring-transport", "mainspring-journal", "mainspring-tuning"],
    ),
];

/// Checks one `Cargo.toml`.
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let folder = path.trim_end_matches("Cargo.toml").trim_end_matches('/');
    let allowed = MAY_USE.iter().find(|(name, _)| *name == folder).map(|(_, allowed)| *allowed);
    let mut findings = Vec::new();
    let mut section = "";
    let mut has_reason = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            (section, has_reason) = (line, false);
        } else if line.is_empty() {
            has_reason = false;
        } else if line.starts_with('#') {
            has_reason = true;
        } else if let Some(name) = dependency(section, line) {
            let ours = name == "mainspring" || name.starts_with("mainspring-");
            if !ours && !has_reason && !line.contains("workspace") {
                let advice = format!("`{name}` without its reason in a comment above");
                findings.push(Finding::new(path, number + 1, advice));
            }
            let refused = allowed.is_some_and(|allowed| !allowed.contains(&name));
            if ours && refused && !section.contains("dev-") {
                let advice = format!("{folder} must not depend on `{name}`: imports go one way");
                findings.push(Finding::new(path, number + 1, advice));
            }
        }
    }
    findings
}

/// The crate that a line of a dependency table names.
fn dependency<'a>(section: &str, line: &'a str) -> Option<&'a str> {
    let tables = section.trim_matches(['[', ']']);
    if !tables.ends_with("dependencies") {
        return None;
    }
    let key = line.split_once('=')?.0.trim();
    Some(key.split('.').next().unwrap_or(key))
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let workspace = "[workspace.dependencies]\n# Because.\na = \"1\"\nb = \"1\"\n\nc = \"1\"\n";
    let text = format!("{workspace}[dependencies]\nd.workspace = true\n");
    let findings = check("Cargo.toml", &text);
    assert_eq!(findings.iter().map(|f| f.line).collect::<Vec<_>>(), [6]);
}

#[test]
fn an_import_against_the_direction_is_found() {
    let upwards = "[dependencies]\nmainspring-sharding.workspace = true\n";
    assert_eq!(check("runtime/Cargo.toml", upwards).len(), 1);
    assert_eq!(
        check("tuning/Cargo.toml", "[dependencies]\nmainspring = { path = \"../runtime\" }\n")
            .len(),
        1
    );
    assert!(check("perf/Cargo.toml", upwards).is_empty());
    assert!(
        check("sharding/Cargo.toml", "[dependencies]\nmainspring.workspace = true\n").is_empty()
    );
}
