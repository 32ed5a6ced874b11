//! The page of entities names tests. They are there.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

/// Every line of Rust below a folder.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of this crate") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("a source file"));
        }
    }
}

#[test]
fn every_test_that_the_page_of_entities_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../docs/sharding.md")).expect("the page");
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("tests"), &mut code);
    // Between backticks stand, alternately, prose and names; a name of a test has many words and nothing else.
    let is_test = |name: &&str| {
        name.matches('_').count() >= 3
            && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
    };
    let tests: Vec<&str> = page.split('`').filter(is_test).collect();
    assert!(tests.len() > 20, "the page names {} tests", tests.len());
    for test in tests {
        assert!(code.contains(&format!("fn {test}(")), "there is no test `{test}`");
    }
}
