//! What a comparison says follows from its rounds: ratios of the same block, the best peer, nothing when invalid.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::evidence::Evidence;

fn contestant(name: &str, kind: Kind) -> Contestant {
    Contestant::of_harness(name, kind, Path::new("perf"), "savina-count")
}

fn standing(ns_per_message: &[f64]) -> Standing {
    Standing { messages: 1, ns_per_message: ns_per_message.to_vec(), ..Standing::default() }
}

fn settings() -> ContestSettings {
    ContestSettings {
        blocks: 3,
        round: Duration::from_millis(200),
        deadline: Duration::from_secs(60),
        cpus: vec![1],
        yields: false,
    }
}

fn found(evidence: Evidence) -> ComparisonResult {
    found_in(3, evidence)
}

/// Three of so many blocks were done; the machine is half as fast in the second.
fn found_in(blocks: usize, evidence: Evidence) -> ComparisonResult {
    let line_up = LineUp {
        contestants: vec![
            contestant("mainspring", Kind::Mainspring),
            contestant("raw-memory-loop", Kind::Limit),
            contestant("slow", Kind::Peer),
            contestant("quick", Kind::Peer),
            contestant("wrong", Kind::Peer),
            contestant("empty", Kind::Empty),
        ],
        left_out: vec![LeftOut { name: "caf".into(), reason: "apt-get install it".into() }],
        unit: "message",
    };
    let out = Standing { out: Some("its sum is wrong".into()), ..Standing::default() };
    let empty = Standing { wall: Duration::from_millis(9), ..standing(&[40.0, 50.0, 60.0]) };
    let contested = Contested {
        standings: vec![
            standing(&[10.0, 20.0, 10.0]),
            standing(&[5.0, 10.0, 5.0]),
            standing(&[90.0, 180.0, 90.0]),
            standing(&[30.0, 60.0, 30.0]),
            out,
            empty,
        ],
        calibration_ns: vec![100.0; 3],
        is_interrupted: blocks > 3,
        evidence: Ok(evidence),
    };
    let settings = ContestSettings { blocks, ..settings() };
    ComparisonResult::new("savina-count", line_up, &settings, &contested, false)
}

fn quiet() -> Evidence {
    Evidence { wall_seconds: 1.0, ..Evidence::default() }
}

#[test]
fn ratios_are_those_of_the_same_block_and_the_best_peer_is_the_quickest() {
    let result = found(quiet());
    let ratios: Vec<Option<f64>> =
        result.contestants.iter().map(|row| row.ratio_to_mainspring).collect();
    assert_eq!(ratios, [None, Some(0.5), Some(9.0), Some(3.0), None]);
    let best = result.best_peer.expect("two peers are left");
    assert_eq!((best.name.as_str(), best.ratio.median), ("quick", 3.0));
    assert_eq!(best.ratio.interval.low, 3.0);
    let headline = result.headline.expect("valid");
    assert!(headline.contains("10.00 ns a message, 2.00 times the raw limit"), "{headline}");
    assert!(headline.contains("quick, takes 3.00 times as long"), "{headline}");
}

#[test]
fn the_harness_is_shown_apart_and_is_no_row() {
    let result = found(quiet());
    assert_eq!(result.harness, Some(Overhead { section_ns: 50.0, process_ms: 3.0 }));
    assert!(result.contestants.iter().all(|row| row.name != "empty"));
}

#[test]
fn the_table_names_everybody_who_is_out_with_the_reason() {
    let table = found(quiet()).to_string();
    for words in [
        "out: its sum is wrong",
        "caf               left out: apt-get install it",
        "3.00 (3.00 to 3.00)  the best peer",
        "50 ns of each round",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
}

#[test]
fn an_invalid_comparison_has_no_times_and_no_ratios() {
    let result = found(Evidence { cpus_used_by_others: 0.8, ..quiet() });
    assert_eq!(result.verdict, Verdict::Invalid);
    let json: serde_json::Value =
        serde_json::from_str(&result.to_json().expect("JSON")).expect("JSON");
    for gone in ["headline", "best_peer", "blocks"] {
        assert!(json.get(gone).is_none(), "{gone}: {json}");
    }
    let rows = json["contestants"].as_array().expect("rows");
    for gone in ["ns_per_message", "best_ns_per_message", "worst_ns_per_message"] {
        assert!(rows.iter().all(|row| row.get(gone).is_none()), "{gone}: {json}");
    }
    assert!(rows.iter().all(|row| row.get("ratio_to_mainspring").is_none()), "{json}");
    assert_eq!(json["calibration_ns"], 100.0);
}

#[test]
fn every_round_is_in_the_json_block_by_block() {
    let json: serde_json::Value =
        serde_json::from_str(&found(quiet()).to_json().expect("JSON")).expect("JSON");
    assert_eq!(json["blocks"][1]["ns_per_message"]["quick"], 60.0);
    assert_eq!(json["blocks"][1]["calibration_ns"], 100.0);
    assert_eq!(json["blocks"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_comparison_that_was_interrupted_says_after_how_many_blocks() {
    let result = found_in(11, quiet());
    assert_eq!((result.verdict, result.rounds), (Verdict::Degraded, 3));
    assert_eq!(result.reasons, ["interrupted after 3 of 11 blocks"]);
    assert!(result.headline.is_some());
}
