//! Inside a crate, state machines never import drivers; and they read no wall clock.

use super::finding::Finding;
use super::source::has_word;

/// Who may know drivers, below a crate's `src/`: the drivers, what assembles a node from them, and the crate's face.
const KNOWS_DRIVERS: [&str; 4] = ["driver/", "node/", "lib.rs", "main.rs"];
/// Whose decisions must repeat exactly when they are replayed.
const SANS_IO: [&str; 4] =
    ["runtime/src/core/", "runtime/src/ring/", "runtime/src/frame", "runtime/src/testkit/"];
const CLOCKS: [&str; 2] = ["SystemTime::now", "Instant::now"];

/// Checks the code of one file, comments and literals already blanked.
pub fn check(path: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in code.lines().enumerate() {
        if may_not_know_drivers(path) && names_driver(line) {
            let advice =
                "only node/ and driver/ may import a driver; pass what is needed as an argument";
            findings.push(Finding::new(path, number + 1, advice));
        }
        let is_test = path.ends_with("tests.rs");
        if SANS_IO.iter().any(|folder| path.starts_with(folder))
            && !is_test
            && CLOCKS.iter().any(|clock| line.contains(clock))
        {
            findings.push(Finding::new(
                path,
                number + 1,
                "a clock in deciding code; take `now_ns`",
            ));
        }
    }
    findings
}

fn may_not_know_drivers(path: &str) -> bool {
    ["runtime", "transport", "journal", "sharding"].iter().any(|name| {
        path.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix("/src/"))
            .is_some_and(|rest| !KNOWS_DRIVERS.iter().any(|known| rest.starts_with(known)))
    })
}

fn names_driver(line: &str) -> bool {
    let import = line.trim_start().trim_start_matches("pub ").starts_with("use ");
    let path =
        ["crate::driver", "super::driver", "mainspring::driver"].iter().any(|p| line.contains(p));
    path || import && has_word(line, "driver")
}

#[test]
fn a_state_machine_that_imports_a_driver_is_found() {
    assert_eq!(check("runtime/src/core/sweep.rs", "use crate::driver::uring::Ring;\n").len(), 1);
    assert_eq!(check("runtime/src/device.rs", "use crate::{driver, ring};\n").len(), 1);
    assert_eq!(check("journal/src/log.rs", "let ring = crate::driver::open();\n").len(), 1);
    assert!(check("runtime/src/node/builder.rs", "use crate::driver::cpu;\n").is_empty());
    assert!(check("runtime/src/core/sweep.rs", "let driver = 1;\n").is_empty());
}

#[test]
fn a_clock_in_deciding_code_is_found() {
    let code = "fn now() -> Instant {\n    std::time::Instant::now()\n}\n";
    assert_eq!(check("runtime/src/core/timers.rs", code)[0].line, 2);
    assert!(check("runtime/src/driver/clock.rs", code).is_empty());
}
