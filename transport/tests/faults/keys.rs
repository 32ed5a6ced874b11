//! Who may listen and link, with which key.

use mainspring::prelude::*;
use mainspring_transport::Transport;
use mainspring_transport::handshake::{Key, RefusalReason};

use crate::scene::{start, wait_figures};
use crate::{Outcome, PATIENCE};

fn key(text: &str) -> Outcome<Key> {
    Ok(Key::from_file_bytes(text.as_bytes())?)
}

/// Why a node with these links does not start.
fn refusal(transport: Transport) -> String {
    let started = Node::builder().cores(Cores::count(1)).with(transport).start();
    let mut error: &dyn std::error::Error = &started.err().expect("it must not start");
    let mut text = error.to_string();
    while let Some(source) = error.source() {
        error = source;
        text = format!("{text}: {error}");
    }
    text
}

#[test]
fn a_node_that_others_reach_does_not_start_without_a_key() -> Outcome {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7355"] {
        let text = refusal(Transport::new().listen(address)?);
        assert!(
            text.contains("whoever connects would be trusted") && text.contains(address),
            "{text}"
        );
    }
    let text = refusal(Transport::new().listen("127.0.0.1:0")?.connect("192.0.2.1:7355")?);
    assert!(
        text.contains("whoever connects would be trusted") && text.contains("192.0.2.1:7355"),
        "{text}"
    );
    Ok(())
}

#[test]
fn with_a_key_or_where_the_network_keeps_strangers_out_a_node_listens_everywhere() -> Outcome {
    let keyed = Transport::new().key(key("a key that is long enough")?);
    for transport in [keyed, Transport::new().insecure(true)] {
        let (node, links) = start("everywhere", transport.listen("0.0.0.0:0")?)?;
        assert!(links.wait_listening(PATIENCE).is_some_and(|address| address.port() != 0));
        node.shutdown(PATIENCE)?;
    }
    Ok(())
}

#[test]
fn a_key_is_replaced_one_node_at_a_time() -> Outcome {
    let (old, new) = (key("the old key, long enough")?, key("the new key, long enough")?);
    let listening = Transport::new().listen("127.0.0.1:0")?.key(old.clone()).key(new.clone());
    let (node, links) = start("both", listening)?;
    let address = links.wait_listening(PATIENCE).ok_or("it does not listen")?.to_string();
    let keys = [vec![old.clone()], vec![new.clone(), old.clone()], vec![new.clone()]];
    for (place, keys) in keys.into_iter().enumerate() {
        let transport = keys.into_iter().fold(Transport::new(), Transport::key);
        let (other, others) = start(&format!("holder-{place}"), transport.connect(&address)?)?;
        others.wait_for_nodes(1, PATIENCE).ok_or("a right key was refused")?;
        other.shutdown(PATIENCE)?;
    }
    let foreign = key("a foreign key, long enough")?;
    let (other, others) = start("foreigner", Transport::new().key(foreign).connect(&address)?)?;
    wait_figures(&others, |figures| figures.refused_by_peers(RefusalReason::ProofWrong) > 0);
    assert!(others.nodes().is_empty());
    assert!(links.figures().refused(RefusalReason::ProofWrong) > 0);
    other.shutdown(PATIENCE)?;
    node.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn a_key_file_that_cannot_be_read_or_is_too_short_is_named() -> Outcome {
    let missing =
        Transport::new().key_file("/nowhere/cluster.key").err().ok_or("it is not there")?;
    assert!(missing.to_string().contains("/nowhere/cluster.key"), "{missing}");
    let path = std::env::temp_dir().join(format!("mainspring-short-{}.key", std::process::id()));
    std::fs::write(&path, "short\n")?;
    let short = Transport::new().key_file(&path).err().ok_or("it is too short")?;
    std::fs::remove_file(&path)?;
    assert!(short.to_string().contains("mainspring-short"), "{short}");
    let many = (0..9).try_fold(Transport::new().listen("127.0.0.1:0")?, |transport, number| {
        key(&format!("key {number}, long enough")).map(|key| transport.key(key))
    })?;
    assert!(refusal(many).contains('8'), "eight keys are the most");
    Ok(())
}
