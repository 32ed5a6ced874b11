use mainspring::prelude::*;
use mainspring::rkyv::bytecheck::CheckBytes;
use mainspring::rkyv::rancor::{Fallible, Trace};

#[message]
struct Tick {
    from: ActorRef<Tick>,
}

fn checked<C: Fallible, T: CheckBytes<C>>(_bytes: &[u8]) {}

fn forge<C: Fallible<Error: Trace>>(bytes: &[u8]) {
    checked::<C, ArchivedTick>(bytes);
}

fn main() {}
