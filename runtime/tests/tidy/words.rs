//! Words that no file of the project may hold: marks of unfinished work, and paths of somebody's machine.

use super::finding::Finding;

/// Split in two, so that this file keeps its own rule.
const BANNED: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "finish it, or open an issue"),
    (concat!("FIX", "ME"), "fix it, or open an issue"),
    (concat!("XX", "X:"), "say what is meant"),
    (concat!("todo", "!("), "finish it, or return an error"),
    (concat!("unimplemented", "!("), "finish it, or return an error"),
    (concat!("dbg", "!("), "remove the debugging output"),
    (concat!("/wo", "rk/"), "a path of one machine; use a relative path"),
    (concat!("/ho", "me/"), "a path of one machine; use a relative path"),
    (concat!("/ro", "ot/"), "a path of one machine; use a relative path"),
    (concat!("/tmp/", "mb"), "a path of one machine; use a relative path"),
    (concat!("<<<<", "<<<"), "an unfinished merge"),
    (concat!(">>>>", ">>>"), "an unfinished merge"),
];

/// Finds banned words in any text file.
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (word, advice) in BANNED {
            if line.contains(*word) {
                findings.push(Finding::new(path, number + 1, format!("`{word}`: {advice}")));
            }
        }
        if line.ends_with([' ', '\t']) {
            findings.push(Finding::new(path, number + 1, "white space at the end of the line"));
        }
    }
    findings
}

#[test]
fn unfinished_work_and_foreign_paths_are_found() {
    let text =
        format!("fine\n// {}: later\nlet p = \"{}me/someone/x\";\nfine \n", BANNED[0].0, "/ho");
    let lines: Vec<usize> = check("a.rs", &text).iter().map(|f| f.line).collect();
    assert_eq!(lines, [2, 3, 4]);
    assert!(check("a.rs", "all is well\n").is_empty());
}
