//! Answers in any order, late, twice, and in parts.

use mainspring::rkyv;
use mainspring::rkyv::rancor::Panic;
use proptest::prelude::*;

use super::*;

fn answer(window: &mut Window, ticket: u64, reply: &Reply, out: &mut Vec<u8>) {
    let Ok(bytes) = rkyv::to_bytes::<Panic>(reply);
    let Ok(archived) = rkyv::access::<ArchivedReply, Panic>(&bytes);
    window.answer(ticket, archived, Resp::Two, out);
}

fn integer(number: i64) -> Reply {
    Reply::Integer(number)
}

#[test]
fn replies_come_out_in_the_order_of_their_requests() {
    let (mut window, mut out) = (Window::default(), Vec::new());
    let first = window.open(0);
    let second = window.open(0);
    window.reply(&Reply::Ok, Resp::Two, &mut out);
    let last = window.open(0);
    answer(&mut window, last, &integer(4), &mut out);
    answer(&mut window, second, &integer(2), &mut out);
    assert!(out.is_empty());
    answer(&mut window, first, &integer(1), &mut out);
    assert_eq!(out, b":1\r\n:2\r\n+OK\r\n:4\r\n");
    assert!(window.is_empty() && !window.is_full());
}

#[test]
fn replies_of_many_keys_make_one() {
    let (mut window, mut out) = (Window::default(), Vec::new());
    let list = window.open_joined(0, Join::List, 2);
    let sum = window.open_joined(0, Join::Sum, 2);
    let ok = window.open_joined(0, Join::Ok, 2);
    answer(&mut window, list + 1, &Reply::Null, &mut out);
    answer(&mut window, sum, &integer(1), &mut out);
    answer(&mut window, sum + 1, &integer(1), &mut out);
    window.take(ok, Reply::error("ERR a"), Resp::Two, &mut out);
    answer(&mut window, ok + 1, &Reply::error("ERR b"), &mut out);
    assert!(out.is_empty());
    answer(&mut window, list, &Reply::bulk("a"), &mut out);
    assert_eq!(out, b"*2\r\n$1\r\na\r\n$-1\r\n:2\r\n-ERR a\r\n");
}

#[test]
fn a_reply_for_many_keys_with_more_values_than_a_connection_has_room_for_is_refused() {
    let value = Reply::Bulk(vec![7; 128 << 10]);
    for (parts, is_refused) in [(MOST_JOINED_BYTES / (128 << 10), false), (2_000, true)] {
        let (mut window, mut out) = (Window::default(), Vec::new());
        let first = window.open_joined(0, Join::List, parts);
        (first..).take(parts).for_each(|ticket| answer(&mut window, ticket, &value, &mut out));
        assert_eq!(out.starts_with(b"-ERR the reply has more"), is_refused, "{parts}");
        assert_eq!(out.len() > MOST_JOINED_BYTES, !is_refused, "{parts}");
        assert!(window.is_empty() && !window.is_full());
    }
}

#[test]
fn an_answer_that_comes_twice_or_late_is_nobodys() {
    let (mut window, mut out) = (Window::default(), Vec::new());
    let (first, second) = (window.open(10), window.open(20));
    answer(&mut window, second, &integer(2), &mut out);
    answer(&mut window, second, &integer(3), &mut out);
    window.give_up(11, &Reply::error("ERR late"), Resp::Two, &mut out);
    assert_eq!(out, b"-ERR late\r\n:2\r\n");
    answer(&mut window, first, &integer(1), &mut out);
    answer(&mut window, u64::MAX, &integer(1), &mut out);
    assert_eq!(out, b"-ERR late\r\n:2\r\n");
    let third = window.open(30);
    assert!(third > second);
    window.give_up(30, &Reply::error("ERR late"), Resp::Two, &mut out);
    assert!(!window.is_empty(), "it is not late yet");
}

#[test]
fn a_window_is_full_of_answers_to_come_and_of_replies_behind_them() {
    let (mut window, mut out) = (Window::default(), Vec::new());
    let first = window.open(0);
    for _ in 1..MOST_UNDER_WAY {
        assert!(!window.is_full());
        window.reply(&Reply::Ok, Resp::Two, &mut out);
    }
    assert!(window.is_full());
    answer(&mut window, first, &Reply::Ok, &mut out);
    assert!(window.is_empty() && !window.is_full());
    assert_eq!(out.len(), MOST_UNDER_WAY * "+OK\r\n".len());
    window.open_joined(0, Join::Ok, MOST_UNDER_WAY);
    assert!(window.is_full());
}

proptest! {
    #[test]
    fn whatever_the_order_of_answers_each_request_has_its_reply(
        requests in prop::collection::vec(0..4_u8, 1..40),
        order in any::<prop::sample::Index>(),
    ) {
        let (mut window, mut out, mut wanted) = (Window::default(), Vec::new(), Vec::new());
        let mut tickets = Vec::new();
        for (number, kind) in requests.iter().enumerate() {
            let reply = integer(number as i64);
            match kind {
                0 => window.reply(&reply, Resp::Two, &mut out),
                1 | 2 => tickets.push((window.open(0), reply.clone())),
                _ => {
                    let first = window.open_joined(0, Join::Sum, 2);
                    tickets.extend([(first, integer(0)), (first + 1, reply.clone())]);
                }
            }
            reply.write(Resp::Two, &mut wanted);
        }
        if !tickets.is_empty() {
            let split = order.index(tickets.len());
            tickets.rotate_left(split);
            tickets[..split].reverse();
        }
        for (ticket, reply) in tickets {
            answer(&mut window, ticket, &reply, &mut out);
        }
        prop_assert_eq!(out, wanted);
        prop_assert!(window.is_empty() && !window.is_full());
    }
}
