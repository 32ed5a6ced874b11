//! One step at a time: what a region and a coordinator answer, without a network.

use super::*;
use crate::ownership::{Epoch, Ownership, StoreAnswer, StoreRefusal, StoreRequest};

const A: u16 = 1;
const B: u16 = 2;
const C: u16 = 3;
const RETRY_NS: u64 = 2_000_000_000;

type Outputs = Vec<Output<u16, Vec<u8>>>;

/// A region at A of two shards, and what it last wanted done.
struct Place {
    region: Region<u16, Vec<u8>>,
    now_ns: u64,
}

fn record(owner: u16, epoch: u64, given_by: Option<u16>) -> Ownership<u16> {
    Ownership { owner, epoch: Epoch(epoch), given_by }
}

impl Place {
    fn new(settings: Settings) -> Place {
        Place { region: Region::new(A, [A, B, C], 2, settings), now_ns: 0 }
    }

    /// A owns shard 0 at epoch 1.
    fn owner(settings: Settings) -> Place {
        let mut place = Place::new(settings);
        place.learn(record(A, 1, None));
        place.sealed(1);
        assert_eq!(place.region.route(0), Route::Here);
        place
    }

    fn input(&mut self, input: Input<u16, Vec<u8>>) -> Outputs {
        let mut outputs = Vec::new();
        self.region.handle(self.now_ns, input, &mut outputs);
        outputs
    }

    fn learn(&mut self, ownership: Ownership<u16>) -> Outputs {
        self.input(Input::Learned { shard: 0, ownership })
    }

    fn sealed(&mut self, step: u64) -> Outputs {
        self.input(Input::Sealed { shard: 0, step, last_sequence: 9 })
    }

    fn hear(&mut self, from: u16, message: Message<u16, Vec<u8>>) -> Outputs {
        self.input(Input::Message { from, message })
    }

    fn arrive(&mut self, from: u16, epoch: u64, payload: &[u8]) -> Outputs {
        let payload = payload.to_vec();
        self.input(Input::Arrived { from, shard: 0, epoch: Epoch(epoch), payload })
    }

    fn answer(&mut self, step: u64, answer: StoreAnswer<u16>) -> Outputs {
        self.input(Input::StoreAnswered { shard: 0, step, answer })
    }

    fn hand_off(&mut self, to: u16) -> Outputs {
        self.hear(C, Message::HandOff { shard: 0, epoch: Epoch(1), to })
    }

    /// As far as the request to the store: its step.
    fn give_away(&mut self, to: u16) -> u64 {
        let step = step_of(&self.hand_off(to));
        let step = step_of(&self.input(Input::EntitiesStopped { shard: 0, step }));
        step_of(&self.sealed(step))
    }

    fn pass_ns(&mut self, ns: u64) -> Outputs {
        self.now_ns += ns;
        self.input(Input::Tick)
    }
}

/// The step of the one output that wants an answer.
fn step_of(outputs: &Outputs) -> u64 {
    let step = |output: &Output<u16, Vec<u8>>| match output {
        Output::StopEntities { step, .. }
        | Output::KillEntities { step, .. }
        | Output::Seal { step, .. }
        | Output::Store { step, .. } => Some(*step),
        _ => None,
    };
    outputs.iter().find_map(step).unwrap_or_else(|| panic!("no question in {outputs:?}"))
}

fn delivered(outputs: &Outputs) -> Vec<&[u8]> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Deliver { payload, .. } => Some(payload.as_slice()),
            _ => None,
        })
        .collect()
}

fn refusals(outputs: &Outputs) -> Vec<RefusalReason> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Refuse { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect()
}

fn sent(outputs: &Outputs, to: u16) -> Vec<&Message<u16, Vec<u8>>> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send { to: place, message } if *place == to => Some(message),
            _ => None,
        })
        .collect()
}

#[test]
fn a_message_for_an_unknown_shard_asks_the_store_once_and_goes_to_the_owner() {
    let mut place = Place::new(Settings::default());
    assert_eq!(place.region.route(0), Route::Park);
    let step = step_of(&place.arrive(A, 0, b"one"));
    assert_eq!(place.arrive(A, 0, b"two"), []);
    let outputs = place.answer(step, StoreAnswer::Found(Some(record(B, 4, None))));
    let direct = |payload: &[u8]| Output::Direct {
        to: B,
        shard: 0,
        epoch: Epoch(4),
        payload: payload.to_vec(),
    };
    assert_eq!(outputs, [direct(b"one"), direct(b"two")]);
    assert_eq!(place.region.route(0), Route::There(B, Epoch(4)));
    assert_eq!(place.region.parked(), (0, 0));
}

#[test]
fn a_settled_owner_accepts_its_own_epoch_by_the_table_alone() {
    let place = Place::owner(Settings::default());
    assert!(place.region.accepts(0, Epoch(1)));
    assert!(!place.region.accepts(0, Epoch(2)));
    assert!(!place.region.accepts(0, Epoch::NONE));
    assert!(!place.region.accepts(1, Epoch::NONE));
    assert!(!place.region.accepts(2, Epoch(1)));
    assert_eq!(place.region.route(2), Route::Park);
}

#[test]
fn a_message_for_a_shard_that_does_not_exist_is_given_back() {
    let mut place = Place::new(Settings::default());
    let arrived = Input::Arrived { from: B, shard: 2, epoch: Epoch(1), payload: vec![1] };
    assert_eq!(refusals(&place.input(arrived)), [RefusalReason::NoSuchShard]);
    let ignored = place.region.counters().ignored;
    place.hear(B, Message::HandOff { shard: 2, epoch: Epoch(1), to: B });
    assert_eq!(place.region.counters().ignored, ignored + 1);
}

#[test]
fn entities_that_do_not_stop_are_killed_before_the_shard_is_given_away() {
    let mut place = Place::owner(Settings { stop_within_ns: 500, ..Settings::default() });
    let outputs = place.hand_off(B);
    let step = step_of(&outputs);
    assert!(outputs.contains(&Output::StopEntities { shard: 0, step, deadline_ns: 500 }));
    assert_eq!(place.pass_ns(499), []);
    assert_eq!(place.pass_ns(1), [Output::KillEntities { shard: 0, step }]);
    assert_eq!(place.pass_ns(RETRY_NS), [Output::KillEntities { shard: 0, step }]);
    let outputs = place.input(Input::EntitiesStopped { shard: 0, step });
    assert!(matches!(outputs[..], [Output::Seal { epoch: Epoch(1), .. }]), "{outputs:?}");
}

#[test]
fn an_answer_to_a_step_that_is_over_changes_nothing() {
    let mut place = Place::owner(Settings::default());
    let step = step_of(&place.hand_off(B));
    place.input(Input::EntitiesStopped { shard: 0, step });
    assert_eq!(place.input(Input::EntitiesStopped { shard: 0, step }), []);
    assert_eq!(place.sealed(step), []);
}

#[test]
fn a_second_move_while_one_is_under_way_is_answered_busy() {
    let mut place = Place::owner(Settings::default());
    place.hand_off(B);
    assert_eq!(place.hand_off(B), [], "the same order again is no second move");
    let busy = Message::Busy { shard: 0, epoch: Epoch(1) };
    assert_eq!(sent(&place.hand_off(C), C), [&busy]);
}

#[test]
fn a_move_to_where_the_shard_is_or_to_nobody_is_given_up_at_once() {
    let mut place = Place::owner(Settings::default());
    let resumed = Message::Resumed { shard: 0, ownership: record(A, 1, None) };
    assert_eq!(sent(&place.hand_off(A), C), [&resumed]);
    assert_eq!(sent(&place.hand_off(77), C), [&resumed]);
    assert_eq!(place.region.route(0), Route::Here);
}

#[test]
fn a_target_that_is_gone_brings_the_shard_back_at_its_old_epoch_in_order() {
    let mut place = Place::owner(Settings::default());
    let step = place.give_away(B);
    assert_eq!(place.arrive(B, 1, b"one"), []);
    assert_eq!(place.arrive(A, 0, b"two"), []);
    let current = Some(record(A, 1, None));
    let refused = StoreAnswer::Refused { reason: StoreRefusal::TargetAbsent, current };
    let outputs = place.answer(step, refused);
    assert!(outputs.contains(&Output::Open { shard: 0, epoch: Epoch(1) }));
    assert_eq!(delivered(&outputs), [b"one", b"two"]);
    assert!(
        sent(&outputs, C).contains(&&Message::Resumed { shard: 0, ownership: record(A, 1, None) })
    );
    assert_eq!(place.region.route(0), Route::Here);
}

#[test]
fn an_unknown_outcome_is_read_again_and_then_resumed_only_at_a_new_epoch() {
    let mut place = Place::owner(Settings::default());
    let step = place.give_away(B);
    place.arrive(A, 0, b"one");
    assert_eq!(place.answer(step, StoreAnswer::Unknown), []);
    assert_eq!(place.region.route(0), Route::Park);
    let outputs = place.pass_ns(RETRY_NS);
    let step = step_of(&outputs);
    assert_eq!(outputs, [Output::Store { step, request: StoreRequest::Read { shard: 0 } }]);
    // Nothing has happened yet: the same request again, and this time a refusal that is sure.
    let mine = record(A, 1, None);
    let step = step_of(&place.answer(step, StoreAnswer::Found(Some(mine))));
    let refused = StoreAnswer::Refused { reason: StoreRefusal::TargetAbsent, current: Some(mine) };
    let outputs = place.answer(step, refused);
    let to_itself = StoreRequest::GiveAway { shard: 0, expected: Epoch(1), to: A };
    let step = step_of(&outputs);
    assert_eq!(outputs, [Output::Store { step, request: to_itself }]);
    let outputs = place.answer(step, StoreAnswer::Changed(record(A, 2, Some(A))));
    assert_eq!(delivered(&outputs), [b"one"]);
    // Who has not heard of the new epoch has come down the same way all the time.
    assert_eq!(delivered(&place.arrive(B, 1, b"two")), [b"two"]);
    assert!(place.region.accepts(0, Epoch(2)));
}

#[test]
fn what_is_parked_stays_within_the_limit_and_the_rest_is_given_back() {
    let limits = Settings { parked_limit: 2, parked_limit_bytes: 10, ..Settings::default() };
    let mut place = Place::owner(limits);
    place.give_away(B);
    assert_eq!(place.arrive(C, 1, &[0; 6]), []);
    assert_eq!(refusals(&place.arrive(C, 1, &[0; 5])), [RefusalReason::Full]);
    assert_eq!(place.arrive(A, 0, &[0; 4]), []);
    assert_eq!(refusals(&place.arrive(A, 0, &[])), [RefusalReason::Full]);
    assert_eq!(place.region.parked(), (2, 10));
    assert_eq!(place.region.counters().refused_full, 2);
}

#[test]
fn the_old_owner_forwards_in_batches_and_goes_on_for_those_who_have_not_heard() {
    let mut place = Place::owner(Settings { forward_limit: 2, ..Settings::default() });
    let step = place.give_away(B);
    place.arrive(C, 1, b"one");
    place.arrive(A, 0, b"two");
    let given = record(B, 2, Some(A));
    let outputs = place.answer(step, StoreAnswer::Changed(given));
    let host = Message::HostShard { shard: 0, ownership: given, last_sequence: Some(9) };
    assert_eq!(sent(&outputs, B), [&host]);
    let outputs = place.hear(B, Message::ShardStarted { shard: 0, ownership: given });
    let payload = |origin, bytes: &[u8]| Item { origin, content: Content::Payload(bytes.to_vec()) };
    let flush = |origin| Item { origin, content: Content::Flush };
    let forward = |first, items| Message::Forward { shard: 0, epoch: Epoch(2), first, items };
    let first = forward(0, vec![payload(C, b"one"), payload(A, b"two")]);
    assert_eq!(sent(&outputs, B), [&first]);
    assert_eq!(place.region.route(0), Route::There(B, Epoch(2)));
    let outputs = place.arrive(C, 1, b"three");
    assert_eq!(sent(&outputs, C), [&Message::NotOwner { shard: 0, ownership: given }]);
    assert_eq!(sent(&place.pass_ns(RETRY_NS), B), [&first], "not acknowledged: once more");
    let acknowledged = |next| Message::ForwardAcknowledged { shard: 0, epoch: Epoch(2), next };
    let outputs = place.hear(B, acknowledged(2));
    assert_eq!(sent(&outputs, B), [&forward(2, vec![flush(A), payload(C, b"three")])]);
    place.hear(C, Message::Flush { shard: 0, epoch: Epoch(2), origin: C });
    place.hear(B, Message::Flush { shard: 0, epoch: Epoch(2), origin: B });
    let outputs = place.hear(B, acknowledged(4));
    assert_eq!(sent(&outputs, B), [&forward(4, vec![flush(C), flush(B)])]);
    place.hear(B, acknowledged(6));
    assert_eq!(place.region.parked(), (0, 0));
    assert_eq!(place.region.next_deadline_ns(), None);
    // The way is closed: who names the old epoch now has not kept the order of its own messages.
    assert_eq!(refusals(&place.arrive(C, 1, b"four")), [RefusalReason::StaleEpoch]);
}

#[test]
fn the_old_owner_forwards_no_more_bytes_at_once_than_its_limit_but_for_a_single_message() {
    let mut place = Place::owner(Settings { forward_limit_bytes: 8, ..Settings::default() });
    let step = place.give_away(B);
    let payloads: [&[u8]; 4] = [b"four", b"two2", b"more than eight", b"x"];
    payloads.iter().for_each(|payload| assert_eq!(place.arrive(C, 1, payload), []));
    let given = record(B, 2, Some(A));
    place.answer(step, StoreAnswer::Changed(given));
    let mut outputs = place.hear(B, Message::ShardStarted { shard: 0, ownership: given });
    let mut batches = Vec::new();
    while let [Message::Forward { first, items, .. }] = sent(&outputs, B)[..] {
        batches.push(items.len());
        let next = first + items.len() as u64;
        outputs = place.hear(B, Message::ForwardAcknowledged { shard: 0, epoch: Epoch(2), next });
    }
    assert_eq!(batches, [2, 1, 2], "the marker goes with the last");
}

#[test]
fn a_step_that_is_to_be_done_again_at_once_is_done_again_with_the_next_tick() {
    let mut place = Place::new(Settings { retry_ns: 0, ..Settings::default() });
    assert_eq!(place.arrive(A, 0, b"one").len(), 1, "it asks the store");
    assert_eq!(place.pass_ns(1).len(), 1, "and once more");
}

#[test]
fn the_new_owner_holds_each_sender_until_its_marker_has_come() {
    let mut place = Place::new(Settings::default());
    place.learn(record(B, 1, None));
    let mine = record(A, 2, Some(B));
    let host = Message::HostShard { shard: 0, ownership: mine, last_sequence: None };
    let outputs = place.hear(B, host.clone());
    let flush = Message::Flush { shard: 0, epoch: Epoch(2), origin: A };
    assert_eq!(sent(&outputs, B), [&flush], "this place has sent to the old owner too");
    let step = step_of(&outputs);
    let started = Message::ShardStarted { shard: 0, ownership: mine };
    assert_eq!(sent(&place.sealed(step), C), [&started]);
    assert_eq!(sent(&place.hear(B, host), B), [&started], "told twice, answered twice");
    assert_eq!(place.arrive(C, 2, b"two"), []);
    assert_eq!(place.region.route(0), Route::Park);
    let payload = Item { origin: C, content: Content::Payload(b"one".to_vec()) };
    let markers = [C, A, B].map(|origin| Item { origin, content: Content::Flush });
    let forward = |first, items| Message::Forward { shard: 0, epoch: Epoch(2), first, items };
    assert_eq!(delivered(&place.hear(B, forward(0, vec![payload.clone()]))), [b"one"]);
    let busy = Message::Busy { shard: 0, epoch: Epoch(2) };
    let outputs = place.hear(C, Message::HandOff { shard: 0, epoch: Epoch(2), to: B });
    assert_eq!(sent(&outputs, C), [&busy], "not settled");
    let again = place.hear(B, forward(0, vec![payload, markers[0].clone()]));
    assert_eq!(delivered(&again), [b"two"], "the repeated item is not taken twice");
    place.hear(B, forward(2, markers[1..].to_vec()));
    assert!(place.region.is_settled(0));
    assert_eq!(place.region.next_deadline_ns(), None);
}

#[test]
fn a_hint_holds_messages_for_a_moment_only() {
    let mut place = Place::new(Settings::default());
    place.learn(record(B, 1, None));
    place.hear(B, Message::BeginHandOff { shard: 0, epoch: Epoch(1) });
    assert_eq!(place.region.route(0), Route::Park);
    assert_eq!(place.arrive(A, 0, b"one"), []);
    let outputs = place.pass_ns(RETRY_NS);
    let payload = b"one".to_vec();
    assert_eq!(outputs, [Output::Direct { to: B, shard: 0, epoch: Epoch(1), payload }]);
    assert_eq!(place.region.route(0), Route::There(B, Epoch(1)));
    // A move that was given up lets go at once.
    place.hear(B, Message::BeginHandOff { shard: 0, epoch: Epoch(1) });
    place.hear(B, Message::ShardStarted { shard: 0, ownership: record(B, 1, None) });
    assert_eq!(place.region.route(0), Route::There(B, Epoch(1)));
}

#[test]
fn records_of_lower_epochs_change_nothing() {
    let mut place = Place::new(Settings::default());
    place.learn(record(C, 5, None));
    assert_eq!(place.learn(record(A, 4, Some(B))), []);
    let late = Message::HostShard { shard: 0, ownership: record(A, 4, None), last_sequence: None };
    let not_owner = Message::NotOwner { shard: 0, ownership: record(C, 5, None) };
    assert_eq!(sent(&place.hear(B, late), B), [&not_owner]);
    assert_eq!(place.region.ownership(0), Some(record(C, 5, None)));
}

#[test]
fn a_newcomer_asks_the_store_instead_of_believing_what_may_be_older_than_itself() {
    let mut place = Place::new(Settings::default());
    place.region = Region::joining(A, [A, B, C], 2, Settings::default());
    let ownership = record(B, 2, Some(C));
    let outputs = place.hear(B, Message::ShardStarted { shard: 0, ownership });
    let step = step_of(&outputs);
    assert_eq!(outputs, [Output::Store { step, request: StoreRequest::Read { shard: 0 } }]);
    assert_eq!(place.region.route(0), Route::Park);
    let newer = record(C, 3, Some(B));
    let outputs = place.answer(step, StoreAnswer::Found(Some(newer)));
    let flush = Message::Flush { shard: 0, epoch: Epoch(3), origin: A };
    assert_eq!(sent(&outputs, B), [&flush]);
    assert_eq!(place.region.route(0), Route::There(C, Epoch(3)));
}

#[test]
fn an_owner_that_was_robbed_kills_its_entities_and_gives_back_what_others_sent() {
    let mut place = Place::owner(Settings::default());
    place.hand_off(B);
    place.arrive(C, 1, b"one");
    place.arrive(A, 0, b"two");
    let outputs = place.learn(record(C, 3, None));
    assert!(outputs.contains(&Output::KillEntities { shard: 0, step: 0 }));
    assert_eq!(refusals(&outputs), [RefusalReason::OwnerGone]);
    let payload = b"two".to_vec();
    assert!(outputs.contains(&Output::Direct { to: C, shard: 0, epoch: Epoch(3), payload }));
    assert_eq!(place.region.counters().taken_over, 1);
}

mod coordinating {
    use super::*;

    type Outputs = Vec<CoordinatorOutput<u16, Vec<u8>>>;

    fn input(
        coordinator: &mut Coordinator<u16>,
        now_ns: u64,
        input: CoordinatorInput<u16, Vec<u8>>,
    ) -> Outputs {
        let mut outputs = Vec::new();
        coordinator.handle(now_ns, input, &mut outputs);
        outputs
    }

    fn answer(coordinator: &mut Coordinator<u16>, step: u64, answer: StoreAnswer<u16>) -> Outputs {
        input(coordinator, 0, CoordinatorInput::StoreAnswered { shard: 0, step, answer })
    }

    fn begin(coordinator: &mut Coordinator<u16>, shard: u32, to: u16) -> Outputs {
        input(coordinator, 0, CoordinatorInput::Move { shard, to })
    }

    #[test]
    fn a_living_owner_is_asked_and_the_new_one_ends_the_move() {
        let mut coordinator = Coordinator::new([A, B], 1, RETRY_NS);
        let read = StoreRequest::Read { shard: 0 };
        let outputs = begin(&mut coordinator, 0, B);
        assert_eq!(outputs, [CoordinatorOutput::Store { step: 1, request: read }]);
        let outputs = answer(&mut coordinator, 1, StoreAnswer::Found(Some(record(A, 1, None))));
        let message = Message::HandOff { shard: 0, epoch: Epoch(1), to: B };
        assert_eq!(outputs, [CoordinatorOutput::Send { to: A, message }]);
        let ownership = record(B, 2, Some(A));
        let started = Message::ShardStarted { shard: 0, ownership };
        let outputs =
            input(&mut coordinator, 0, CoordinatorInput::Message { message: started.clone() });
        let outcome = Outcome::Moved(ownership);
        assert_eq!(outputs, [CoordinatorOutput::Finished { shard: 0, outcome }]);
        let again = input(&mut coordinator, 0, CoordinatorInput::Message { message: started });
        assert_eq!(again, []);
        assert_eq!(coordinator.next_deadline_ns(), None);
    }

    #[test]
    fn a_shard_without_an_owner_or_of_one_that_went_is_taken_over() {
        let mut coordinator = Coordinator::new([A, B], 2, RETRY_NS);
        begin(&mut coordinator, 0, A);
        let outputs = answer(&mut coordinator, 1, StoreAnswer::Found(None));
        let take = |expected| StoreRequest::TakeOver { shard: 0, expected, to: A };
        assert_eq!(outputs, [CoordinatorOutput::Store { step: 2, request: take(Epoch::NONE) }]);
        let ownership = record(A, 1, None);
        let outputs = answer(&mut coordinator, 2, StoreAnswer::Changed(ownership));
        let message = Message::HostShard { shard: 0, ownership, last_sequence: None };
        assert_eq!(outputs, [CoordinatorOutput::Send { to: A, message }]);
        let gone = record(C, 7, None);
        let outputs = answer(&mut coordinator, 1, StoreAnswer::Found(Some(gone)));
        assert_eq!(outputs, [CoordinatorOutput::Store { step: 3, request: take(Epoch(7)) }]);
    }

    #[test]
    fn more_moves_than_allowed_are_refused_and_one_without_an_answer_is_given_up() {
        let mut coordinator = Coordinator::new([A, B], 1, RETRY_NS);
        begin(&mut coordinator, 0, B);
        let refused = |shard, outcome| [CoordinatorOutput::Finished { shard, outcome }];
        assert_eq!(begin(&mut coordinator, 0, A), refused(0, Outcome::UnderWay));
        assert_eq!(begin(&mut coordinator, 1, A), refused(1, Outcome::TooMany));
        let mut last = Vec::new();
        let mut looks = 0;
        while let Some(due_ns) = coordinator.next_deadline_ns() {
            last = input(&mut coordinator, due_ns, CoordinatorInput::Tick);
            looks += 1;
        }
        assert_eq!(last, refused(0, Outcome::GivenUp));
        assert_eq!(looks, 30);
    }
}
