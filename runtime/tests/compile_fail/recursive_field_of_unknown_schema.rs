use mainspring::prelude::*;
use mainspring::rkyv;

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(crate = mainspring::rkyv)]
struct Foreign {
    number: u64,
}

#[message]
struct Smuggled {
    #[rkyv(omit_bounds)]
    foreign: Foreign,
}

fn main() {}
