//! What a file says, and what is refused in it.

use mainspring_transport::Transport;

use super::*;
use crate::cluster::settings::Plan;

fn read(text: &str) -> Result<ClusterFile, ClusterFileError> {
    Cluster::from_toml(Transport::new().links(), text)
}

fn plan(text: &str) -> Plan {
    read(text).expect("it is right").cluster.plan
}

#[track_caller]
fn assert_refused(text: &str, parts: &[&str]) {
    let refusal = read(text).expect_err(text).to_string();
    assert!(parts.iter().all(|part| refusal.contains(part)), "{parts:?} in {refusal:?}");
    assert!(!refusal.contains('\n'), "{refusal:?}");
}

/// The file in docs/cluster.md; without its store where there is none.
fn documented() -> &'static str {
    let page = include_str!("../../../docs/cluster.md");
    let start = page.find("```toml\n").expect("a TOML block") + "```toml\n".len();
    let text = &page[start..];
    let end = if cfg!(feature = "etcd") { "```" } else { "[store]" };
    &text[..text.find(end).expect("its end")]
}

/// The same with everything that stands behind a `#` as an alternative in its place.
fn documented_alternatives() -> String {
    let lines = documented().lines().filter(|line| !line.starts_with("when_unstable"));
    let lines = lines.map(|line| line.strip_prefix("# ").unwrap_or(line));
    let lines = lines.filter(|line| !line.starts_with("seeds_") && !line.starts_with("quorum"));
    let lines = lines.filter(|line| !line.starts_with("user") && !line.starts_with("password"));
    lines.collect::<Vec<_>>().join("\n").replace("keep-majority\"  ", "keep-oldest\"  ")
}

#[test]
fn the_documented_file_is_read_and_says_what_it_shows() {
    let plan = plan(documented());
    assert_eq!(plan.strategy, Some(Strategy::KeepMajority { role: Some("carts".to_owned()) }));
    assert_eq!(plan.when_unstable, Some(WhenUnstable::DownAll));
    assert_eq!(plan.address, Some(([10, 0, 0, 1], 7355).into()));
    let says = plan.membership;
    assert_eq!(format!("{:?}", says.seeds), "[10.0.0.1:7355, 10.0.0.2:7355]");
    assert_eq!((says.app_version.as_str(), says.roles.len()), ("1.2.0", 1));
    assert_eq!(says.configuration["carts.currency"], "EUR");
    // All other values are those that hold anyway.
    let defaults = membership::Settings {
        seeds: says.seeds.clone(),
        roles: says.roles.clone(),
        app_version: says.app_version.clone(),
        configuration: says.configuration.clone(),
        ..membership::Settings::default()
    };
    assert_eq!(format!("{says:?}"), format!("{defaults:?}"));
}

#[test]
fn the_documented_alternatives_are_read_too() {
    let plan = plan(&documented_alternatives());
    let role = Some("carts".to_owned());
    assert_eq!(plan.strategy, Some(Strategy::KeepOldest { down_if_alone: true, role }));
    assert_eq!(plan.stable_after, Some(Duration::from_secs(7)));
    assert_eq!(plan.when_unstable, Some(WhenUnstable::DownAllAfter(9_000_000_000)));
}

#[test]
fn every_setting_of_the_membership_is_taken() {
    let text = "seeds = ['10.0.0.1:1']
        [heartbeats]
        every_ms = 11
        pause_ms = 12
        [membership]
        gossip_ms = 1
        gossip_fast_ms = 2
        unseen_first_percent = 3
        join_retry_ms = 4
        seed_wait_ms = 5
        welcome_within_ms = 6
        weakly_up_after_ms = 7
        farewell_ms = 8
        tombstone_ms = 9
        neighbours = 10
        suspicion_threshold = 13.0";
    let says = plan(text).membership;
    let times = [says.gossip_ns, says.gossip_fast_ns, says.join_retry_ns, says.seed_wait_ns];
    assert_eq!(times, [1, 2, 4, 5].map(milliseconds));
    let times = [says.welcome_within_ns, says.weakly_up_after_ns, says.farewell_ns];
    assert_eq!(times, [6, 7, 8].map(milliseconds));
    assert_eq!(says.tombstone_ns, milliseconds(9));
    assert_eq!((says.unseen_first_percent, says.neighbours), (3, 10));
    let detector = says.detector;
    assert_eq!((detector.interval_ns, detector.pause_ns), (milliseconds(11), milliseconds(12)));
    assert_eq!(detector.threshold, 13.0);
}

#[test]
fn a_key_that_is_not_known_is_refused_with_its_name_and_line() {
    assert_refused("seeds = ['10.0.0.1:1']\n\nseed = 1", &["line 3: ", "`seed`"]);
    assert_refused("seeds = ['10.0.0.1:1']\n[membership]\ngosip_ms = 1", &["line 3: ", "gosip_ms"]);
    assert_refused("[resolver]\nstrategy = 'down-all'\nrolle = 'a'", &["line 3: ", "`rolle`"]);
    assert_refused("seeds = 1", &["line 1: ", "sequence"]);
    assert_refused("seeds = [", &["line 1: "]);
    assert_refused("[heartbeats]\nevery_ms = 1", &["line 1: ", "pause_ms"]);
}

#[test]
fn what_no_strategy_knows_is_refused_with_its_line() {
    let resolver = |lines: &str| format!("seeds = ['10.0.0.1:1']\n[resolver]\n{lines}");
    for (lines, parts) in [
        ("strategy = 'auto'", ["line 3: ", "keep-majority"]),
        ("strategy = 'static-quorum'", ["line 3: ", "quorum = 2"]),
        ("strategy = 'down-all'\nquorum = 2", ["line 4: ", "`quorum` is for static-quorum"]),
        ("strategy = 'down-all'\nrole = 'a'", ["line 4: ", "`role` is not for down-all"]),
        ("strategy = 'down-all'\ndown_if_alone = true", ["line 4: ", "for keep-oldest"]),
        ("strategy = 'down-all'\nwhen_unstable = 'up'", ["line 4: ", "down-all or wait"]),
        (
            "strategy = 'down-all'\nwhen_unstable = 'wait'\ndown_all_after_ms = 1",
            ["line 5: ", "one of them"],
        ),
        ("strategy = 'static-quorum'\nquorum = 0", ["", "quorum of 0"]),
        ("strategy = 'down-all'\nstable_after_ms = 0", ["", "stable_after_ns is 0"]),
    ] {
        assert_refused(&resolver(lines), &parts);
    }
}

#[test]
fn what_the_builder_refuses_is_refused() {
    assert_refused("", &["no seeds"]);
    assert_refused("seeds = ['nowhere']", &["\"nowhere\""]);
    assert_refused("seeds_file = 'no/such/file'", &["no/such/file"]);
    assert_refused("seeds = ['10.0.0.1:1']\naddress = 'x'", &["\"x\""]);
    let beats = "seeds = ['10.0.0.1:1']\n[heartbeats]\nevery_ms = 1\npause_ms = 9";
    assert_refused(beats, &["at least 10ms"]);
    for threshold in ["nan", "0.0", "inf"] {
        let text =
            format!("seeds = ['10.0.0.1:1']\n[membership]\nsuspicion_threshold = {threshold}");
        assert_refused(&text, &["phi"]);
    }
}

#[test]
fn a_file_that_cannot_be_read_or_is_too_long_is_named() {
    let links = || Transport::new().links();
    let error = Cluster::from_toml_file(links(), "no/such/cluster.toml").unwrap_err();
    assert!(error.to_string().contains("no/such/cluster.toml"), "{error}");
    let path = std::env::temp_dir().join(format!("cluster-{}.toml", std::process::id()));
    std::fs::write(&path, " ".repeat(FILE_LIMIT_BYTES as usize + 1)).expect("it is written");
    let error = Cluster::from_toml_file(links(), &path).unwrap_err();
    assert!(matches!(error, ClusterFileError::TooLong { .. }), "{error}");
    std::fs::write(&path, "\nx = 1").expect("it is written");
    let error = Cluster::from_toml_file(links(), &path).unwrap_err().to_string();
    assert!(error.contains(".toml: line 2: unknown field `x`"), "{error}");
    std::fs::remove_file(&path).expect("it is there");
}

#[cfg(not(feature = "etcd"))]
#[test]
fn a_store_is_refused_by_a_program_that_has_none() {
    assert_refused("seeds = ['10.0.0.1:1']\n[store]\netcd = ['a:1']", &["feature `etcd`"]);
}

#[cfg(feature = "etcd")]
mod store {
    use super::*;

    #[test]
    fn the_store_of_a_file_is_that_of_the_builder() {
        let path = std::env::temp_dir().join(format!("etcd-{}.password", std::process::id()));
        std::fs::write(&path, "hush\n").expect("it is written");
        let text = format!(
            "seeds = ['10.0.0.1:1']
            store = {{ etcd = ['a:1', 'b:2'], prefix = 'shop', user = 'u', password_file = {path:?}, ttl_seconds = 9 }}"
        );
        let store = read(&text).expect("it is right").store.expect("it has one");
        std::fs::remove_file(&path).expect("it is there");
        let built = Etcd::at(["a:1", "b:2"]).prefix("shop").user("u").ttl_seconds(9);
        assert_eq!(format!("{store:?}"), format!("{:?}", built.password("hush")));
        assert_eq!(store.password.0, "hush");
        assert!(read("seeds = ['10.0.0.1:1']").expect("it is right").store.is_none());
        let documented = read(documented()).expect("it is right").store.expect("it has one");
        let hosts = ["10.0.0.9:2379", "10.0.0.10:2379", "10.0.0.11:2379"];
        assert_eq!(format!("{documented:?}"), format!("{:?}", Etcd::at(hosts).ttl_seconds(5)));
    }

    #[test]
    fn a_store_that_cannot_work_is_refused() {
        let with = |store: &str| format!("seeds = ['10.0.0.1:1']\n[store]\n{store}");
        assert_refused(&with("etcd = []"), &["0 addresses"]);
        assert_refused(&with("etcd = ['a:1']\nttl_seconds = 1"), &["less than 2 s"]);
        assert_refused(&with("etcd = ['a:1']\nuser = 'u'"), &["user without password"]);
        assert_refused(&with("etcd = ['a:1']\npassword_file = 'no/such'"), &["no/such"]);
        assert_refused(&with("etcd = ['a:1']\nttl = 1"), &["line 4: ", "`ttl`"]);
    }
}
