//! mainspring-perf
fn main() {}
