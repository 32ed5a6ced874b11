//! Unsafe code lives in few named modules, so that a review knows where to look.

use super::finding::Finding;
use super::source::has_word;

/// A path that ends with `/` names a folder; one without names a file and its sibling tests.
const ALLOWED: &[&str] = &[
    "runtime/src/ring/",
    // Writes an `unsafe impl` into the user's crate, after checking what it promises.
    "runtime/macros/src/schema",
    "runtime/src/frame.rs",
    "runtime/src/frame/",
    "runtime/src/core/cell",
    "runtime/src/core/dispatch",
    "runtime/src/core/local_queue",
    "runtime/src/driver/",
    // Vouches for the references of nodes that hold the system's key.
    "transport/src/trust.rs",
    "tuning/src/system.rs",
    "perf/src/raw/",
];

/// Checks the code of one file, comments and literals already blanked.
pub fn check(path: &str, code: &str) -> Vec<Finding> {
    if ALLOWED.iter().any(|allowed| path.starts_with(allowed)) {
        return Vec::new();
    }
    let advice = format!("unsafe code outside of {}", ALLOWED.join(", "));
    let lines = code.lines().enumerate().filter(|(_, line)| has_word(line, "unsafe"));
    lines.map(|(number, _)| Finding::new(path, number + 1, advice.clone())).collect()
}

#[test]
fn unsafe_code_in_another_module_is_found() {
    let code = "fn f() {\n    unsafe { g() }\n}\n";
    assert_eq!(check("runtime/src/core/timers.rs", code)[0].line, 2);
    assert_eq!(check("sharding/src/lib.rs", code).len(), 1);
    assert!(check("runtime/src/core/cell.rs", code).is_empty());
    assert!(check("runtime/src/ring/producer.rs", code).is_empty());
    assert!(check("runtime/src/lib.rs", "#![deny(unsafe_code)]").is_empty());
}
