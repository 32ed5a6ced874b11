//! Real nodes in one process, whose cluster is over loopback.

use std::error::Error;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_sharding::cluster::{
    Cluster, ClusterError, ClusterHandle, ClusterRequestError, MemberView,
};
use mainspring_sharding::downing::Strategy;
use mainspring_sharding::membership::{self, Status};
use mainspring_transport::Transport;

const PATIENCE: Duration = Duration::from_secs(60);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

struct Member {
    node: Node,
    handle: ClusterHandle,
    address: String,
}

/// A node that joins by these seeds, or begins a cluster of its own. Its core may come late on a machine that is busy,
/// so longer silences are accepted than by default.
fn member(name: &str, seeds: &[&str]) -> Outcome<Member> {
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let seeds = if seeds.is_empty() { vec![address.as_str()] } else { seeds.to_vec() };
    let transport = Transport::new().listen(&address)?;
    let cluster = Cluster::new(transport.links())
        .seeds(seeds)?
        .role(name)
        .app_version("1.2.0")
        .heartbeats(Duration::from_millis(200), Duration::from_secs(5))
        .resolver(Strategy::KeepMajority { role: None })
        .stable_after(Duration::from_secs(5));
    let handle = cluster.handle();
    let builder = Node::builder().name(name).cores(Cores::count(1)).idle(IdleProfile::Eco);
    let node = builder.with(transport).with(cluster).start()?;
    Ok(Member { node, handle, address })
}

/// A port that nobody listens on at this moment.
fn free_port() -> Outcome<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn are_up(count: usize) -> impl FnMut(&[MemberView]) -> bool {
    move |members| members.len() == count && members.iter().all(MemberView::is_up)
}

#[test]
fn three_nodes_join_one_leaves_one_is_killed_and_the_last_one_of_two_goes_on_as_decided() -> Outcome
{
    let one = member("one", &[])?;
    assert!(one.handle.wait_up(PATIENCE), "it begins a cluster");
    let seeds = [one.address.as_str()];
    let (two, three) = (member("two", &seeds)?, member("three", &seeds)?);
    for member in [&one, &two, &three] {
        let members = member.handle.wait_until(PATIENCE, are_up(3));
        let members = members.ok_or_else(|| format!("{:?}", member.handle.members()))?;
        let roles: Vec<&str> =
            members.iter().flat_map(|it| it.roles.iter().map(|r| &**r)).collect();
        assert!(["one", "two", "three"].iter().all(|role| roles.contains(role)), "{roles:?}");
        assert!(members.iter().all(|member| member.app_version == "1.2.0"));
    }
    // Of three one leaves in order.
    three.handle.leave()?;
    let reason = three.handle.wait_stopped(PATIENCE).ok_or("it leaves")?;
    assert_eq!(reason, membership::StopReason::Left);
    assert_eq!(three.handle.leave(), Err(ClusterRequestError::NoMember));
    three.node.shutdown(PATIENCE)?;
    for member in [&one, &two] {
        member.handle.wait_until(PATIENCE, are_up(2)).ok_or("two are left")?;
    }
    // Of two one is gone without a word. Whoever is left is one of two: the one with the lower address goes on.
    let (first, second) = match one.handle.members()[0].address == one.address {
        true => (one, two),
        false => (two, one),
    };
    drop(second.node);
    first.handle.wait_until(PATIENCE, are_up(1)).ok_or("the other one is given up")?;
    assert!(first.handle.is_up());
    assert_eq!(first.handle.this().map(|this| this.status), Some(Status::Up));
    first.node.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn a_node_that_listens_on_a_port_of_the_systems_choice_is_a_member_at_the_port_that_it_got()
-> Outcome {
    let transport = Transport::new().listen("127.0.0.1:0")?;
    let links = transport.links();
    let address = format!("127.0.0.1:{}", free_port()?);
    let first = Transport::new().listen(&address)?;
    let seed = Cluster::new(first.links()).seeds([&address])?;
    let cluster = Cluster::new(links.clone()).seeds([&address])?;
    let (seed_handle, handle) = (seed.handle(), cluster.handle());
    let eco = |name| Node::builder().name(name).cores(Cores::count(1)).idle(IdleProfile::Eco);
    let seed = eco("seed").with(first).with(seed).start()?;
    let node = eco("node").with(transport).with(cluster).start()?;
    seed_handle.wait_until(PATIENCE, are_up(2)).ok_or("both are up")?;
    assert!(handle.wait_up(PATIENCE));
    let listening = links.listening_on().ok_or("it listens")?;
    assert_eq!(handle.this().map(|this| this.address), Some(listening.to_string()));
    node.shutdown(PATIENCE)?;
    seed.shutdown(PATIENCE)?;
    Ok(())
}

#[test]
fn seeds_come_from_a_file_or_from_a_name() -> Outcome {
    let path = std::env::temp_dir().join(format!("seeds-{}", std::process::id()));
    let address = format!("127.0.0.1:{}", free_port()?);
    std::fs::write(&path, format!("# the first one begins\n\n  {address}\n"))?;
    let transport = Transport::new().listen(&address)?;
    let cluster = Cluster::new(transport.links()).seeds_file(&path)?;
    let handle = cluster.handle();
    let builder = Node::builder().cores(Cores::count(1)).idle(IdleProfile::Eco);
    let node = builder.with(transport).with(cluster).start()?;
    assert!(handle.wait_up(PATIENCE), "it is the first seed of the file");
    node.shutdown(PATIENCE)?;
    let alone = || Cluster::new(Transport::new().links());
    std::fs::write(&path, "127.0.0.1:7355\nnobody\n")?;
    let refused = alone().seeds_file(&path).err().map(|error| error.to_string());
    assert!(refused.as_ref().is_some_and(|it| it.contains("\"nobody\"")), "{refused:?}");
    std::fs::remove_file(&path)?;
    let refused = alone().seeds_file(&path);
    assert!(matches!(refused, Err(ClusterError::SeedsFile { .. })));
    let named = format!("{:?}", alone().seeds_of_name("localhost:7355")?);
    assert!(named.contains("127.0.0.1:7355") || named.contains("[::1]:7355"), "{named}");
    Ok(())
}

#[test]
fn what_cannot_be_a_member_does_not_start_and_says_why() -> Outcome {
    let start = |transport: Option<Transport>, cluster: Cluster| {
        let builder = Node::builder().cores(Cores::count(1)).idle(IdleProfile::Eco);
        let builder = match transport {
            Some(transport) => builder.with(transport).with(cluster),
            None => builder.with(cluster),
        };
        match builder.start() {
            Ok(_) => "it starts".to_owned(),
            Err(error) => {
                let mut text = error.to_string();
                let mut cause = error.source();
                while let Some(error) = cause {
                    text = format!("{text}: {error}");
                    cause = error.source();
                }
                text
            }
        }
    };
    let seeds = ["127.0.0.1:7355"];
    let alone = Transport::new();
    let cluster = Cluster::new(alone.links()).seeds(seeds)?;
    let text = start(None, cluster);
    assert!(text.contains(&ClusterError::NoLinks.to_string()), "{text}");
    let silent = Transport::new();
    let cluster = Cluster::new(silent.links()).seeds(seeds)?;
    let text = start(Some(silent), cluster);
    assert!(text.contains("has to listen for the others"), "{text}");
    let everywhere = Transport::new().listen("0.0.0.0:0")?.insecure(true);
    let cluster = Cluster::new(everywhere.links()).seeds(seeds)?;
    let text = start(Some(everywhere), cluster);
    assert!(text.contains("Cluster::address"), "{text}");
    let seedless = Transport::new().listen("127.0.0.1:0")?;
    let cluster = Cluster::new(seedless.links());
    let text = start(Some(seedless), cluster);
    assert!(text.contains("no seeds"), "{text}");
    let leased = Transport::new().listen("127.0.0.1:0")?;
    let strategy = Strategy::LeaseMajority { role: None };
    let cluster = Cluster::new(leased.links()).seeds(seeds)?.resolver(strategy);
    let text = start(Some(leased), cluster);
    assert!(text.contains("lease-majority needs a lease"), "{text}");
    assert!(matches!(
        Cluster::new(Transport::new().links()).seeds(["10.0.0.1"]),
        Err(ClusterError::Seed { .. })
    ));
    Ok(())
}
