//! Every parser of bytes from a peer gets damaged captures: the functions of the fuzz targets, on inputs from seeds.
//!
//! `MAINSPRING_TRANSPORT_SEEDS=3000000 cargo test -p mainspring-transport --test damaged_inputs` takes more of them
//! than a change needs.

use std::path::Path;

#[path = "../fuzz/src/parsers.rs"]
mod parsers;

/// Inputs for each parser, unless somebody has more time.
const SEEDS: u64 = 20_000;

/// A parser and what it is fed with, damaged.
type Parser = (fn(&[u8]), Vec<Vec<u8>>);

#[test]
fn no_parser_panics_or_believes_what_no_peer_would_write() {
    for (parse, inputs) in parsers_and_inputs() {
        inputs.iter().for_each(|input| parse(input));
        for seed in 0..seeds() {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut input = inputs[random.usize(0..inputs.len())].clone();
            damage(&mut input, &mut random);
            parse(&input);
        }
    }
}

fn seeds() -> u64 {
    let wanted = std::env::var("MAINSPRING_TRANSPORT_SEEDS").ok();
    wanted.and_then(|number| number.parse().ok()).unwrap_or(SEEDS)
}

fn parsers_and_inputs() -> Vec<Parser> {
    let lanes = [("1.0-ordinary.hex", 0), ("1.0-control.hex", 1), ("1.0-bulk.hex", 2)];
    let streams: Vec<(u8, Vec<u8>)> =
        lanes.iter().map(|(name, lane)| (*lane, capture(name))).collect();
    let decoder = streams.iter().flat_map(|(lane, stream)| {
        [0, 4, 8, 12].map(|options| [&[lane | options], stream.as_slice()].concat())
    });
    let link_frames = streams.iter().flat_map(|(_, stream)| frames_of(stream));
    let sides = ["1.0-plain", "1.0-keyed", "1.1-plain"]
        .map(|name| ["initiator", "responder"].map(|side| capture(&format!("{name}-{side}.hex"))));
    let handshakes = sides
        .iter()
        .flatten()
        .flat_map(|stream| [0, 1, 14, 255].map(|first| [&[first], stream.as_slice()].concat()));
    vec![
        (parsers::decoder, decoder.collect()),
        (parsers::link_frame, link_frames.collect()),
        (parsers::handshake, handshakes.collect()),
    ]
}

/// Header and payload of each frame, without the padding.
fn frames_of(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(length) = stream.first_chunk::<4>() {
        let payload = u32::from_le_bytes(*length) as usize;
        frames.push(stream[..16 + payload].to_vec());
        stream = &stream[16 + payload.next_multiple_of(16)..];
    }
    frames
}

fn capture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let digits: String = lines.flat_map(str::split_whitespace).collect();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// One to four changes: a byte, a bit, a cut, a piece that comes twice or not at all.
fn damage(input: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..=4) {
        if input.len() < 2 {
            return;
        }
        let at = random.usize(0..input.len());
        let piece = random.usize(0..=16).min(input.len() - at);
        match random.u8(0..6) {
            0 => input[at] = random.u8(..),
            1 => input[at] ^= 1 << random.u8(0..8),
            2 => input.truncate(at),
            3 => drop(input.drain(at..at + piece)),
            4 => {
                let again = input[at..at + piece].to_vec();
                input.splice(at..at, again);
            }
            _ => input[at..at + piece].fill(*random.choice([0, 0xFF].iter()).expect("two")),
        }
    }
}
