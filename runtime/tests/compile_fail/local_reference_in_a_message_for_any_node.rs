use mainspring::prelude::*;

#[message]
struct Introduce {
    neighbour: LocalRef<Introduce>,
}

fn tell<M: Message>(_to: ActorRef<M>, _message: &M) {}

fn introduce(to: ActorRef<Introduce>, message: &Introduce) {
    tell(to, message);
}

fn main() {}
