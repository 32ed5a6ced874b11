//! What an operator fears: the network breaks, etcd loses its leader, etcd is away.
//!
//! These take minutes, and two of them need root: they run by a command of their own (see the README of sessions).

use std::time::{Duration, Instant};

use redis::Commands;
use rustix::process::Signal;

use crate::clients::Clients;
use crate::place::Place;
use crate::town::{Town, connect};
use crate::{Outcome, SECOND};

/// Until a process at this address refuses a key because it is out of its cluster, or is gone.
fn refuses(address: &str, patience: Duration) -> Outcome<bool> {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        let Ok(mut client) = connect(address, 2 * SECOND) else { return Ok(true) };
        match client.get::<_, Option<String>>("some") {
            Err(error) if error.code() == Some("CLUSTERDOWN") => return Ok(true),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    Ok(false)
}

#[test]
#[ignore = "needs root, and takes a minute"]
fn survive_network_instability_the_smaller_part_refuses_and_ends_and_the_larger_goes_on() -> Outcome
{
    let Some(mut town) = Town::start("cluster-cut", 3, 1, Place::namespaces()?)? else {
        return Ok(());
    };
    let clients = Clients::start(town.addresses());
    std::thread::sleep(2 * SECOND);
    let others = [town.place.address(0), town.place.address(1), town.place.host()];
    let cut_off = town.address(2);
    clients.during(|| {
        // Clients reach it no more either: they are where etcd is.
        town.place.cut(2, &others)?;
        clients.turn_to(vec![town.address(0), town.address(1)]);
        town.settle_without(2)?;
        assert_eq!(town.ended(2)?, Some(75), "{}", town.said());
        town.place.heal(2)?;
        assert!(refuses(&cut_off, SECOND)?, "nobody is there");
        town.run(2)?;
        town.settle()
    })?;
    std::thread::sleep(SECOND);
    clients.end()?.assert_right();
    Ok(())
}

#[test]
#[ignore = "needs root, and takes a minute"]
fn split_brain_quarantine_a_member_that_reaches_etcd_and_nobody_else_refuses_and_ends() -> Outcome {
    let Some(mut town) = Town::start("cluster-split", 3, 1, Place::namespaces()?)? else {
        return Ok(());
    };
    let clients = Clients::start(town.addresses());
    std::thread::sleep(2 * SECOND);
    let others = [town.place.address(0), town.place.address(1)];
    clients.during(|| {
        town.place.cut(2, &others)?;
        assert!(refuses(&town.address(2), 30 * SECOND)?, "it goes on alone");
        clients.turn_to(vec![town.address(0), town.address(1)]);
        assert_eq!(town.ended(2)?, Some(75), "{}", town.said());
        town.settle()?;
        town.place.heal(2)?;
        town.run(2)?;
        town.settle()
    })?;
    std::thread::sleep(SECOND);
    clients.end()?.assert_right();
    Ok(())
}

#[test]
#[ignore = "takes a minute"]
fn the_leader_of_etcd_is_killed_and_clients_see_nothing_of_it() -> Outcome {
    let Some(mut town) = Town::start("cluster-leader", 3, 3, Some(Place::Loopback))? else {
        return Ok(());
    };
    let clients = Clients::start(town.addresses());
    std::thread::sleep(2 * SECOND);
    let leader = town.etcd.leader()?;
    town.etcd.kill(leader)?;
    town.etcd.leader()?;
    std::thread::sleep(10 * SECOND);
    town.etcd.run(leader)?;
    std::thread::sleep(2 * SECOND);
    // Nobody has lost a key: nothing may be empty.
    clients.end()?.assert_right();
    Ok(())
}

#[test]
#[ignore = "takes two minutes"]
fn etcd_is_away_for_a_minute_and_all_refuse_and_end_and_begin_again() -> Outcome {
    let Some(mut town) = Town::start("cluster-away", 3, 1, Some(Place::Loopback))? else {
        return Ok(());
    };
    let clients = Clients::start(town.addresses());
    std::thread::sleep(2 * SECOND);
    clients.during(|| {
        let away = Instant::now();
        town.etcd.signal_all(Signal::STOP)?;
        for node in 0..3 {
            assert_eq!(town.ended(node)?, Some(75), "{}", town.said());
        }
        println!("all have ended {:?} after etcd", away.elapsed());
        std::thread::sleep((60 * SECOND).saturating_sub(away.elapsed()));
        town.etcd.signal_all(Signal::CONT)?;
        for node in 0..3 {
            town.run(node)?;
        }
        clients.turn_to(town.addresses());
        town.settle()
    })?;
    std::thread::sleep(2 * SECOND);
    clients.end()?.assert_right();
    Ok(())
}

#[test]
#[ignore = "takes two minutes"]
fn node_churn_and_quick_restart_and_restart_of_the_first_seed() -> Outcome {
    let Some(mut town) = Town::start("cluster-churn", 3, 1, Some(Place::Loopback))? else {
        return Ok(());
    };
    let clients = Clients::start(town.addresses());
    clients.during(|| {
        for node in [0, 1, 2, 0] {
            town.kill(node)?;
            // At once, before anybody has given it up.
            town.run(node)?;
            clients.turn_to(town.addresses());
            town.settle()?;
        }
        Ok(())
    })?;
    std::thread::sleep(2 * SECOND);
    clients.end()?.assert_right();
    Ok(())
}
