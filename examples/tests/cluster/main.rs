//! Sessions as a cluster of real processes, with a real etcd, as an operator has it: processes are killed, stopped,
//! drained and cut off while clients go on.

mod clients;
mod history;
mod members;
mod ordinary;
mod outages;
mod place;
mod town;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::Commands;

use place::Place;
use town::{Town, connect};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn any_process_serves_any_key() -> Outcome {
    let Some(town) = Town::start("cluster-any", 3, 1, Some(Place::Loopback))? else {
        return Ok(());
    };
    let mut clients = Vec::new();
    for address in town.addresses() {
        clients.push(connect(&address, 10 * SECOND)?);
    }
    let keys: Vec<String> = (0..60).map(|number| format!("key {number}")).collect();
    for (number, key) in keys.iter().enumerate() {
        let _: () = clients[number % 3].set(key, key)?;
    }
    for client in &mut clients {
        let values: Vec<Option<String>> = client.mget(&keys)?;
        assert!(values.iter().flatten().eq(&keys), "{values:?}");
        let mut pipeline = redis::pipe();
        for key in keys.iter().cycle().take(3_000) {
            pipeline.get(key);
        }
        let replies: Vec<String> = pipeline.query(client)?;
        assert!(replies.iter().eq(keys.iter().cycle().take(3_000)), "{} replies", replies.len());
    }
    assert_eq!(clients[0].del::<_, usize>(&keys)?, keys.len());
    Ok(())
}

/// A folder that is not there yet, under the build's own directory.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"));
    path.join(format!("{name}-{}", std::process::id()))
}

/// The middle and the end of what was measured, in order.
fn shown(times: &[Duration]) -> String {
    let at = |percent: usize| {
        let last = times.len().saturating_sub(1);
        times.get((times.len() * percent / 100).min(last)).copied().unwrap_or_default()
    };
    format!("p50 {:?}, p99 {:?}, most {:?}, of {}", at(50), at(99), at(100), times.len())
}
