//! A real node that shuts down leaves its cluster first, and what it had goes on elsewhere.

use std::error::Error;
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_sharding::cluster::{Cluster, ClusterHandle, MemberView};
use mainspring_sharding::downing::Strategy;
use mainspring_sharding::membership::StopReason;
use mainspring_sharding::ownership::shared_memory::SharedMemory;
use mainspring_sharding::shutdown::{Phase, Reason, Settings, Shutdown};
use mainspring_sharding::{Sharding, Singleton, SingletonProxy};
use mainspring_transport::Transport;

const PATIENCE: Duration = Duration::from_secs(60);

#[message]
struct Where {
    reply_to: ActorRef<Here>,
}

#[message]
#[derive(Debug, PartialEq)]
struct Here {
    number: u64,
}

struct Lodger {
    number: u64,
}

impl Actor for Lodger {
    type Message = Where;

    fn receive(&mut self, ctx: &mut Context<Self>, asked: &Archived<Where>) -> Next<Self> {
        ctx.tell(asked.reply_to, &Here { number: self.number });
        Next::Same
    }
}

struct Member {
    node: Node,
    cluster: ClusterHandle,
    sharding: Sharding,
    lodger: SingletonProxy<Where>,
}

/// Cores come late on a machine that is busy, so longer silences are accepted than by default.
fn member(
    number: u64,
    address: &str,
    seed: &str,
    store: &SharedMemory,
) -> Result<Member, Box<dyn Error>> {
    let transport = Transport::new().listen(address)?;
    let cluster = Cluster::new(transport.links())
        .seeds([seed])?
        .heartbeats(Duration::from_millis(200), Duration::from_secs(5))
        .resolver(Strategy::KeepMajority { role: None })
        .stable_after(Duration::from_secs(5));
    let handle = cluster.handle();
    let sharding = Sharding::new().in_cluster(store.opener(number as usize));
    let lodger = sharding.singleton(Singleton::new("lodger"), move || Lodger { number })?;
    let builder = Node::builder().cores(Cores::count(1)).idle(IdleProfile::Eco);
    let node = builder.with(transport).with(cluster).with(sharding.clone()).start()?;
    Ok(Member { node, cluster: handle, sharding, lodger })
}

fn free_address() -> Result<String, Box<dyn Error>> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    Ok(format!("127.0.0.1:{port}"))
}

#[test]
fn a_member_that_shuts_down_hands_over_what_it_has_and_leaves_in_order()
-> Result<(), Box<dyn Error>> {
    let store = SharedMemory::seeded(1);
    let seed = free_address()?;
    let one = member(1, &seed, &seed, &store)?;
    assert!(one.cluster.wait_up(PATIENCE));
    let two = member(2, &free_address()?, &seed, &store)?;
    let are_up =
        |members: &[MemberView]| members.len() == 2 && members.iter().all(MemberView::is_up);
    one.cluster.wait_until(PATIENCE, are_up).ok_or("two are up")?;
    let ask = |member: &Member| {
        let ask = |reply_to| Where { reply_to };
        member
            .lodger
            .ask(&member.node.client(), ask, PATIENCE)?
            .wait()
            .map_err(Box::<dyn Error>::from)
    };
    assert_eq!(ask(&two)?, Here { number: 1 }, "the oldest has it");

    let settings = Settings::default()
        .deadline(Phase::LeaveCluster, PATIENCE)
        .deadline(Phase::ConfirmExit, PATIENCE)
        .deadline(Phase::StopNode, PATIENCE);
    let shutdown = Shutdown::new(settings);
    shutdown.leave_cluster(&one.cluster)?;
    let (node, sharding) = (one.node, one.sharding);
    shutdown.add(Phase::StopNode, "node", move |stopping| {
        let is_ready = sharding.readiness().is_ready();
        node.shutdown(stopping.time_left())?;
        if is_ready { Err("a node that has left is no place for work".into()) } else { Ok(()) }
    })?;
    shutdown.begin(Reason::Asked("a test".to_owned()))?;
    let report = shutdown.wait(4 * PATIENCE).ok_or("it ends")?;
    assert!(report.is_clean(), "{report}");
    assert_eq!(one.cluster.wait_stopped(PATIENCE), Some(StopReason::Left));
    assert_eq!(ask(&two)?, Here { number: 2 });
    two.node.shutdown(PATIENCE)?;
    Ok(())
}
