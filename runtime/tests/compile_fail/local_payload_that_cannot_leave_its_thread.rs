use std::rc::Rc;

use mainspring::prelude::*;

fn main() {
    Local::new(Rc::new(1_u64));
}
