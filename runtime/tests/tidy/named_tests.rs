//! The tests by which pages hold up their promises exist: a name in backticks with three underscores or more, and
//! nothing but letters, digits and underscores, is that of a test.

use super::finding::Finding;
use super::tree::Tree;

/// Pages whose statements name the tests that fail when they are broken.
const PAGES: [&str; 3] = ["docs/guarantees.md", "docs/links.md", "docs/sharding.md"];

/// Fewer are not found by mistake: each of the pages names more.
const LEAST: usize = 20;

/// Checks one document, if it is one of those pages.
pub fn check(path: &str, text: &str, tree: &Tree) -> Vec<Finding> {
    if !PAGES.contains(&path) {
        return Vec::new();
    }
    let named = named_tests(text);
    let is_missing = |test: &str| {
        let definition = format!("fn {test}(");
        let mut code = tree.files.iter().filter(|file| file.path.ends_with(".rs"));
        !code.any(|file| file.text.contains(&definition))
    };
    let missing = named.iter().filter(|(_, test)| is_missing(test));
    let mut findings: Vec<Finding> = missing
        .map(|(line, test)| Finding::new(path, *line, format!("there is no test `{test}`")))
        .collect();
    if named.len() < LEAST {
        let advice = format!("names {} tests; its promises rest on {LEAST} at least", named.len());
        findings.push(Finding::new(path, 1, advice));
    }
    findings
}

/// The tests that a page names, with their lines.
fn named_tests(text: &str) -> Vec<(usize, &str)> {
    let mut named = Vec::new();
    let mut in_fence = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence {
            // Between backticks stand, alternately, prose and names.
            let tests = line.split('`').skip(1).step_by(2).filter(|name| is_test(name));
            named.extend(tests.map(|test| (index + 1, test)));
        }
    }
    named
}

fn is_test(name: &str) -> bool {
    name.matches('_').count() >= 3 && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
}

#[test]
fn a_test_that_a_page_names_and_nobody_has_written_is_found() {
    let page = "# Page\n\nIt holds (`what_is_told_is_kept`, `one_two_three_four`).\n\
                Not by `a_limit` and `Type::of_a_b_c`.\n";
    let named: Vec<&str> = named_tests(page).into_iter().map(|(_, test)| test).collect();
    assert_eq!(named, ["what_is_told_is_kept", "one_two_three_four"]);
    let text = "#[test]\nfn what_is_told_is_kept() {}\n".to_owned();
    let tree = Tree { files: vec![crate::tree::File { path: "runtime/a.rs".into(), text }] };
    let found = check("docs/guarantees.md", page, &tree);
    let found: Vec<String> = found.iter().map(Finding::to_string).collect();
    assert_eq!(found[0], "docs/guarantees.md:3: there is no test `one_two_three_four`");
    assert!(found[1].contains("names 2 tests") && found.len() == 2, "{found:?}");
    assert_eq!(check("README.md", page, &tree), [], "other pages name what they like");
}
