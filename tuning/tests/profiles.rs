//! Profiles of users: what is read, and what is refused with line and key.

use std::path::Path;

use mainspring_tuning::{Profile, ProfileError, ShardCpus, UNLIMITED, Want, check};
use proptest::prelude::*;

#[test]
fn a_profile_of_ones_own_says_what_it_wants() {
    let profile = Profile::parse(
        "mine.toml",
        r#"
        summary = "a rack of ours"
        audit_only = true
        [cpus]
        shards = "2-7,10"
        [cpu]
        governor = ["performance", "userspace"]
        idle_latency = 0x10
        [mem]
        locked_limit = "unlimited"
        "#,
    )
    .unwrap();
    assert_eq!((profile.summary.as_str(), profile.is_audit_only), ("a rack of ours", true));
    assert_eq!(profile.wanted.shards, ShardCpus::These("2-7,10".parse().unwrap()));
    let governors = vec!["performance".to_owned(), "userspace".to_owned()];
    assert_eq!(profile.wanted.of("cpu.governor"), Some(&Want::Words(governors)));
    assert_eq!(profile.wanted.of("cpu.idle_latency"), Some(&Want::Number(16)));
    assert_eq!(profile.wanted.of("mem.locked_limit"), Some(&Want::Number(UNLIMITED)));
    assert_eq!(profile.wanted.ids().count(), 3);
}

#[test]
fn a_bad_profile_is_refused_with_its_line_and_its_key() {
    for (text, says) in [
        (
            "summary = \"x\"\n[cpu]\ngovernor = 3\n",
            "mine.toml line 3: cpu.governor cannot be 3; it takes a word",
        ),
        (
            "[cpu]\n\ngovernr = \"performance\"\n",
            "line 3: cpu.governr: there is no such check, did you mean cpu.governor?",
        ),
        (
            "[cpu]\nidle_latency = -1\n",
            "line 2: cpu.idle_latency cannot be -1; it takes the largest number allowed, in micro",
        ),
        ("[cpu]\nidle_latency = 99999999999999999999\n", "line 2"),
        (
            "[kernel]\nnohz_full = \"2-7\"\n",
            "cannot be \"2-7\"; it takes one of \"shards\", \"none\"",
        ),
        ("[cpu]\ngovernor = \"a b; reboot\"\n", "line 2: cpu.governor cannot be"),
        ("[cpu]\ngovernor = []\n", "line 2: cpu.governor cannot be []"),
        ("[cpu]\ngovernor = [\"performance\", 1]\n", "line 2: cpu.governor cannot be"),
        ("[cpus]\nshards = \"3-1\"\n", "line 2: cpus.shards cannot be \"3-1\"; it takes \"auto\""),
        ("[cpus]\nshards = 0\n", "line 2: cpus.shards cannot be 0"),
        ("colour = \"green\"\n", "line 1: colour: there is no such key"),
        ("[mem.thp]\nenabled = \"never\"\n", "line 1: mem.thp cannot be"),
        ("audit_only = \"yes\"\n", "line 1: audit_only cannot be \"yes\"; it takes true or false"),
        ("[cpu\n", "mine.toml line 1: not TOML"),
        (
            "[cpu]\ngovernor = \"performance\"\ngovernor = \"powersave\"\n",
            "line 3: not TOML: duplicate key",
        ),
    ] {
        let error = Profile::parse("mine.toml", text).expect_err(text).to_string();
        assert!(error.contains(says), "{text}\n{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn the_built_in_profiles_want_something_of_every_check_but_those_that_are_only_explained() {
    let mut wanted = Vec::new();
    for name in Profile::built_in() {
        let profile = Profile::load(name).unwrap_or_else(|error| panic!("{error}"));
        assert!(!profile.summary.is_empty(), "{name}");
        assert_eq!(profile.is_audit_only, name == "laptop", "{name}");
        assert!(
            profile.wanted.of("cpu.idle_poll").is_none_or(|want| *want == Want::word("no")),
            "{name}"
        );
        assert!(
            profile.wanted.of("kernel.mitigations").is_none_or(|want| *want == Want::word("on")),
            "{name}"
        );
        wanted.extend(profile.wanted.ids());
    }
    let left: Vec<_> =
        check::all().iter().map(|check| check.id).filter(|id| !wanted.contains(id)).collect();
    assert_eq!(left, ["mem.hugepages", "limits.rtprio"]);
}

#[test]
fn a_profile_is_loaded_by_its_path() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("of-ones-own.toml");
    std::fs::write(&path, "[mem]\nksm = 0\n").unwrap();
    let profile = Profile::load(path.to_str().unwrap()).unwrap();
    assert_eq!(profile.wanted.ids().collect::<Vec<_>>(), ["mem.ksm"]);
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    let refused = Profile::load(path.to_str().unwrap());
    assert!(matches!(refused, Err(ProfileError::Unreadable { .. })), "{refused:?}");
    assert!(matches!(Profile::load("of-ones-own"), Err(ProfileError::Unknown { .. })));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\[?(cpu|mem|cpus|x)\\]?|governor|shards|=| |\n|\"|[0-9]|\\PC){0,40}") {
        let _ = Profile::parse("any.toml", &text);
    }
}
