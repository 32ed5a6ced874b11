use mainspring::prelude::*;
use mainspring::rkyv;

#[message]
struct Tick {
    from: ActorRef<Tick>,
}

fn forge(bytes: &[u8]) -> ActorRef<Tick> {
    rkyv::access::<ArchivedTick, rkyv::rancor::Failure>(bytes).unwrap().from
}

fn main() {}
