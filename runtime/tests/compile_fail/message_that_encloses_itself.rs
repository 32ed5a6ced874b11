//! Checking foreign bytes would have no end.

use mainspring::prelude::*;

#[message]
struct Doll {
    inner: Option<Enclosed<Doll>>,
}

fn main() {}
