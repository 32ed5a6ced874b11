//! The shape of a source file: a header, lines that fit, files that can be read in one sitting, no folder of
//! leftovers.

use super::finding::Finding;

/// Characters in a line of a `.rs` file; code itself is held to less by rustfmt.
const LINE_CHARS: usize = 120;
/// Lines in a `.rs` file.
const FILE_LINES: usize = 700;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "helpers", "common", "misc"];

/// Checks one `.rs` file.
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let chars = line.chars().count();
        if chars > LINE_CHARS {
            let advice = format!("{chars} characters in a line; at most {LINE_CHARS}");
            findings.push(Finding::new(path, number + 1, advice));
        }
    }
    let lines = text.lines().count();
    if lines > FILE_LINES {
        findings.push(Finding::new(path, lines, format!("{lines} lines; split at {FILE_LINES}")));
    }
    // Programs that must not compile are held against the compiler's output, line by line.
    if !path.contains("/compile_fail/") && !text.starts_with("//!") {
        findings.push(Finding::new(path, 1, "no `//!` header that says what the file promises"));
    }
    let name = path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
    if name.split('/').any(|part| EMPTY_NAMES.contains(&part)) {
        findings.push(Finding::new(path, 1, "a name that says nothing; name what is inside"));
    }
    findings
}

#[test]
fn long_lines_are_found() {
    let text = format!("//! x\n// {}\n", "é".repeat(LINE_CHARS));
    assert_eq!(check("a.rs", &text)[0].line, 2);
    assert!(check("a.rs", &format!("//! {}", "é".repeat(LINE_CHARS - 4))).is_empty());
}

#[test]
fn long_files_and_missing_headers_are_found() {
    assert_eq!(check("a.rs", &"//! x\n".repeat(FILE_LINES + 1)).len(), 1);
    assert_eq!(check("a.rs", "fn main() {}\n").len(), 1);
    assert!(check("runtime/tests/compile_fail/a.rs", "fn main() {}\n").is_empty());
}

#[test]
fn folders_of_leftovers_are_found() {
    assert_eq!(check("runtime/src/utils.rs", "//! x\n").len(), 1);
    assert_eq!(check("runtime/src/common/mod.rs", "//! x\n").len(), 1);
    assert!(check("runtime/src/commons.rs", "//! x\n").is_empty());
}
