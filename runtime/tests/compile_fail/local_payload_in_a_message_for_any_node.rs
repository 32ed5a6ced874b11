use std::sync::mpsc::Sender;

use mainspring::prelude::*;

#[message]
struct Subscribe {
    events: Local<Sender<u64>>,
}

fn tell<M: Message>(_to: ActorRef<M>, _message: &M) {}

fn subscribe(to: ActorRef<Subscribe>, message: &Subscribe) {
    tell(to, message);
}

fn main() {}
