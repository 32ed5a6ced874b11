//! What a ring costs between two pinned threads, printed beside the limit of the machine.
//!
//! `cargo run --release -p mainspring --example ring_throughput -- [ROUNDS] [FRAMES]`
//!
//! - *one thread*: a frame written, published in batches of 64, and read by the same thread;
//!   nanoseconds a frame for both sides without any other CPU.
//! - *stream*: frames of 24 payload bytes, published each alone or in batches; frames a second,
//!   median, best and worst round.
//! - *round trip*: one frame there and one back, over two rings, and the same with nothing but two
//!   atomics; nanoseconds, median and best round.
//!
//! Rounds of all rows are interleaved, because a machine's speed changes while it runs. Every
//! stream checks the sum of what arrived. With fewer than two CPUs the figures say nothing, and the
//! program says so.

use mainspring::frame::Header;
use mainspring::ring::{Consumer, Producer, ring};
use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const RING_BYTES: usize = 64 * 1024;
const PAYLOAD_BYTES: usize = 24;
const BATCHES: [u64; 4] = [1, 16, 64, 256];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = number(arguments.next(), 11);
    let frames = number(arguments.next(), 4_000_000);
    println!("{PAYLOAD_BYTES} payload bytes, ring of {} KiB, {rounds} rounds", RING_BYTES / 1024);
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    if let Some(here) = cpus.first() {
        core_affinity::set_for_current(*here);
    }
    let mut alone: Vec<f64> = (0..rounds).map(|_| one_thread(frames)).collect();
    let [best, median, _] = spread(&mut alone);
    println!("one thread: {median:.2} ns a frame median, {best:.2} best");
    match cpus.get(1) {
        Some(there) => two_threads(*there, rounds, frames),
        None => println!("the other figures need two CPUs; this process may run on one"),
    }
}

fn two_threads(there: core_affinity::CoreId, rounds: u64, frames: u64) {
    let mut streams = vec![Vec::new(); BATCHES.len()];
    let (mut ring_trips, mut atomic_trips) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (batch, rates) in BATCHES.iter().zip(&mut streams) {
            rates.push(stream(there, frames, *batch));
        }
        ring_trips.push(ring_round_trip(there, frames / 20));
        atomic_trips.push(atomic_round_trip(there, frames / 20));
    }

    for (batch, rates) in BATCHES.iter().zip(&mut streams) {
        let [worst, median, best] = spread(rates);
        println!(
            "stream, published per {batch:>3}: {median:6.1} M frames/s median, {best:.1} best, \
             {worst:.1} worst"
        );
    }
    let [ring_best, ring_median, _] = spread(&mut ring_trips);
    let [atomic_best, atomic_median, _] = spread(&mut atomic_trips);
    println!("round trip, two rings:   {ring_median:6.0} ns median, {ring_best:.0} best");
    println!("round trip, two atomics: {atomic_median:6.0} ns median, {atomic_best:.0} best");
    println!(
        "ratio: {:.2} of the medians, {:.2} of the best",
        ring_median / atomic_median,
        ring_best / atomic_best
    );
}

fn number(argument: Option<String>, default: u64) -> u64 {
    argument.and_then(|text| text.parse().ok()).unwrap_or(default).max(1)
}

/// Least, median and greatest.
fn spread(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

/// Nanoseconds a frame, written and read by one thread.
fn one_thread(frames: u64) -> f64 {
    let (mut producer, mut consumer) = new_ring();
    let (mut sent, mut sum) = (0, 0);
    let start = Instant::now();
    while sent < frames {
        for _ in 0..64 {
            send(&mut producer, sent);
            sent += 1;
        }
        producer.publish();
        while let Some(number) = first_number(&mut consumer) {
            sum += number;
        }
        consumer.release();
    }
    let elapsed_ns = start.elapsed().as_nanos() as f64;
    assert_eq!(sum, sent * (sent - 1) / 2, "frames were lost");
    elapsed_ns / sent as f64
}

/// Millions of frames a second from this thread to another.
fn stream(there: core_affinity::CoreId, frames: u64, batch: u64) -> f64 {
    let (mut producer, consumer) = new_ring();
    let receiver = spawn_pinned(there, move || receive(consumer, frames));
    while producer.claim(PAYLOAD_BYTES).is_err() {
        spin_loop(); // the receiver still touches the memory
    }
    let start = Instant::now();
    for number in 0..frames {
        send(&mut producer, number);
        if (number + 1).is_multiple_of(batch) {
            producer.publish();
        }
    }
    producer.publish();
    let sum = receiver.join().expect("the receiver does not panic");
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(sum, frames * (frames - 1) / 2, "frames were lost");
    frames as f64 / seconds / 1e6
}

/// Returns when the new thread runs on its CPU, so that no figure contains its start.
fn spawn_pinned<T: Send + 'static>(
    there: core_affinity::CoreId,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        core_affinity::set_for_current(there);
        // Whoever waits for it is there; if not, nobody wants to know.
        let _ = ready.send(());
        work()
    });
    let _ = is_ready.recv();
    thread
}

fn new_ring() -> (Producer, Consumer) {
    ring(RING_BYTES).expect("a supported capacity")
}

#[inline]
fn send(producer: &mut Producer, number: u64) {
    loop {
        if let Ok(mut claim) = producer.claim(PAYLOAD_BYTES) {
            claim.payload()[..8].copy_from_slice(&number.to_le_bytes());
            claim.payload()[8..16].copy_from_slice(&number.to_le_bytes());
            claim.payload()[16..24].copy_from_slice(&number.to_le_bytes());
            claim.commit(Header::new(PAYLOAD_BYTES as u32, 0, 0, 0, 7, 1)).expect("a valid header");
            return;
        }
        producer.publish();
        spin_loop();
    }
}

fn receive(mut consumer: Consumer, frames: u64) -> u64 {
    consumer.touch();
    let (mut received, mut sum) = (0, 0);
    while received < frames {
        // A sweep reads a bounded number of frames and then gives their space back.
        for _ in 0..64 {
            let Some(number) = first_number(&mut consumer) else { break };
            sum += number;
            received += 1;
        }
        consumer.release();
    }
    sum
}

#[inline]
fn first_number(consumer: &mut Consumer) -> Option<u64> {
    let frame = consumer.next_frame()?;
    black_box(frame.header());
    frame.payload().first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Nanoseconds for a frame there and one back.
fn ring_round_trip(there: core_affinity::CoreId, trips: u64) -> f64 {
    let (mut forth, forth_end) = new_ring();
    let (back_end, mut back) = new_ring();
    let echo = spawn_pinned(there, move || {
        let (mut forth, mut back) = (forth_end, back_end);
        for _ in 0..trips {
            let number = wait_for_frame(&mut forth);
            send(&mut back, number);
            back.publish();
        }
    });
    let start = Instant::now();
    for number in 0..trips {
        send(&mut forth, number);
        forth.publish();
        assert_eq!(wait_for_frame(&mut back), number);
    }
    let elapsed_ns = start.elapsed().as_nanos() as f64;
    echo.join().expect("the echo does not panic");
    elapsed_ns / trips as f64
}

fn wait_for_frame(consumer: &mut Consumer) -> u64 {
    loop {
        if let Some(number) = first_number(consumer) {
            consumer.release();
            return number;
        }
        spin_loop();
    }
}

/// Nanoseconds for a number there and back in two atomics, each on a line of its own: what the
/// machine can do.
fn atomic_round_trip(there: core_affinity::CoreId, trips: u64) -> f64 {
    let lines = Arc::new([Line(AtomicU64::new(0)), Line(AtomicU64::new(0))]);
    let echo = spawn_pinned(there, {
        let lines = lines.clone();
        move || {
            for number in 1..=trips {
                wait_for_number(&lines[0].0, number);
                lines[1].0.store(number, Ordering::Release);
            }
        }
    });
    let start = Instant::now();
    for number in 1..=trips {
        lines[0].0.store(number, Ordering::Release);
        wait_for_number(&lines[1].0, number);
    }
    let elapsed_ns = start.elapsed().as_nanos() as f64;
    echo.join().expect("the echo does not panic");
    elapsed_ns / trips as f64
}

#[repr(align(128))]
struct Line(AtomicU64);

fn wait_for_number(line: &AtomicU64, number: u64) {
    while line.load(Ordering::Acquire) != number {
        spin_loop();
    }
}
