//! What an operator sees on an ordinary day: processes come and go, crash, and stand still.

use std::time::{Duration, Instant};

use redis::{Commands, RedisResult};
use rustix::process::Signal;

use crate::clients::Clients;
use crate::place::Place;
use crate::town::{Town, connect};
use crate::{Outcome, SECOND, shown};

#[test]
fn a_process_that_is_killed_loses_its_keys_alone_and_they_are_served_again_after_its_lease()
-> Outcome {
    let Some(mut town) = Town::start("cluster-kill", 3, 1, Some(Place::Loopback))? else {
        return Ok(());
    };
    let clients = Clients::start(vec![town.address(0), town.address(1)]);
    std::thread::sleep(2 * SECOND);
    let killed = Instant::now();
    clients.during(|| {
        town.kill(2)?;
        town.settle()
    })?;
    let settled = Instant::now();
    std::thread::sleep(2 * SECOND);
    // At the same address it is another member.
    clients.during(|| {
        town.run(2)?;
        town.settle()
    })?;
    std::thread::sleep(2 * SECOND);
    let report = clients.end()?;
    report.assert_right();
    let gaps = report.gaps(killed, settled);
    println!("crash to served again, by key: {}", shown(&gaps));
    assert!(gaps[gaps.len() / 4] < 2 * SECOND, "keys of others go on: {gaps:?}");
    Ok(())
}

#[test]
fn a_process_that_is_told_to_end_hands_over_under_load_and_clients_see_nothing_but_words_to_try_again()
-> Outcome {
    let Some(mut town) = Town::start("cluster-drain", 3, 1, Some(Place::Loopback))? else {
        return Ok(());
    };
    let clients = Clients::start(town.addresses());
    std::thread::sleep(2 * SECOND);
    let told = Instant::now();
    let code = clients.during(|| {
        town.signal(1, Signal::TERM)?;
        clients.turn_to(vec![town.address(0), town.address(2)]);
        let code = town.ended(1)?;
        town.settle()?;
        Ok(code)
    })?;
    let settled = Instant::now();
    assert_eq!(code, Some(0), "{}", town.said());
    std::thread::sleep(2 * SECOND);
    let report = clients.end()?;
    report.assert_right();
    println!("drain, longest wait by key: {}", shown(&report.gaps(told, settled)));
    Ok(())
}

#[test]
fn a_process_that_stood_still_for_longer_than_its_lease_tells_nothing_old_and_ends() -> Outcome {
    let Some(mut town) = Town::start("cluster-zombie", 3, 1, Some(Place::Loopback))? else {
        return Ok(());
    };
    let keys: Vec<String> = (0..60).map(|number| format!("old {number}")).collect();
    let mut client = connect(&town.address(0), 10 * SECOND)?;
    for key in &keys {
        let _: () = client.set(key, "old")?;
    }
    // It is asked before it stands still: a connection waits there.
    let mut zombie = connect(&town.address(2), 10 * SECOND)?;
    let clients = Clients::start(vec![town.address(0), town.address(1)]);
    std::thread::sleep(2 * SECOND);
    clients.during(|| {
        town.signal(2, Signal::STOP)?;
        town.settle_without(2)?;
        for key in &keys {
            let _: () = client.set(key, "new")?;
        }
        town.signal(2, Signal::CONT)?;
        let mut answered = 0;
        let end = Instant::now() + Duration::from_secs(2);
        for key in keys.iter().cycle() {
            let value: RedisResult<Option<String>> = zombie.get(key);
            match value {
                Ok(value) => {
                    assert_ne!(value.as_deref(), Some("old"), "{key}");
                    answered += 1;
                }
                Err(error) if error.is_io_error() || error.is_connection_dropped() => break,
                Err(_) if Instant::now() > end => break,
                Err(_) => {}
            }
        }
        println!("the process that stood still answered {answered} times, never with an old value");
        assert_eq!(town.ended(2)?, Some(75), "{}", town.said());
        // It restarts with the same address.
        town.run(2)?;
        town.settle()
    })?;
    std::thread::sleep(SECOND);
    clients.end()?.assert_right();
    Ok(())
}
