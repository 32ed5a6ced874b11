//! A node: a swarm on a current-thread runtime on a CPU of its own, and how two of them find each other.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use kameo::actor::RemoteActorRef;
use kameo::prelude::*;
use kameo::remote::{self, messaging};
use libp2p::core::upgrade::Version;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, tcp, yamux};
use mainspring_perf_contest::far_process::{self, FarProcess};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How long the two may take to find each other.
const LINK_LIMIT: Duration = Duration::from_secs(20);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// Requests that a connection carries at once, of both directions; those above are refused.
const REQUESTS_AT_ONCE: usize = 1_024;

/// The far node: `actors` makes its actors and registers one of them. It ends when the near one does.
///
/// # Panics
///
/// When it cannot listen on loopback.
pub fn far(cpu: &str, actors: impl Future<Output = ()>) {
    let runtime = runtime(cpu.parse().expect("the number of a CPU"));
    runtime.block_on(async {
        let mut swarm = swarm();
        swarm.listen_on(on_loopback()).expect("listens on loopback");
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address.with_p2p(*swarm.local_peer_id()).expect("an address without a peer");
            }
        };
        tokio::spawn(carry(swarm));
        actors.await;
        println!("{address}");
        let (ended, end) = oneshot::channel();
        std::thread::spawn(move || {
            far_process::wait_for_end();
            ended.send(())
        });
        // Its sender is gone as well only when the near node is.
        let _ = end.await;
    });
}

/// Starts the far node with this word on the last CPU of a round and the near one on the first, finds the far actor of
/// this name, and does `work` with it.
///
/// # Panics
///
/// When the nodes do not find each other in time.
pub fn near<A, W>(
    cores: &[usize],
    word: &str,
    name: &'static str,
    work: impl FnOnce(RemoteActorRef<A>) -> W,
) -> W::Output
where
    A: Actor + RemoteActor + 'static,
    W: Future<Output: Send> + Send + 'static,
{
    let last = cores[cores.len() - 1].to_string();
    let mut far = FarProcess::start(&[word, &last]).expect("this program starts again");
    let address = far.line().expect("the far node says where it listens");
    let address: Multiaddr = address.parse().expect("an address");
    runtime(cores[0]).block_on(async {
        let mut swarm = swarm();
        // The near node listens too, because actors of the far one send to it in their own right.
        swarm.listen_on(on_loopback()).expect("listens on loopback");
        let Some(Protocol::P2p(peer)) = address.iter().last() else {
            panic!("an address with a peer")
        };
        // The registry asks peers whose address it was told.
        swarm.add_peer_address(peer, address.clone());
        swarm.dial(address).expect("dials the far node");
        while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
        tokio::spawn(carry(swarm));
        let found = timeout(LINK_LIMIT, found(name)).await.expect("the far actor is found");
        tokio::spawn(work(found)).await.expect("the work of the near node")
    })
}

async fn found<A: Actor + RemoteActor + 'static>(name: &'static str) -> RemoteActorRef<A> {
    loop {
        if let Ok(Some(found)) = RemoteActorRef::lookup(name).await {
            return found;
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

fn runtime(cpu: usize) -> Runtime {
    // Where pinning is refused the thread runs anywhere on the CPUs that the harness has left to the process.
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
    Builder::new_current_thread().enable_all().build().expect("a runtime of tokio")
}

fn on_loopback() -> Multiaddr {
    "/ip4/127.0.0.1/tcp/0".parse().expect("an address")
}

/// One TCP connection, without discovery.
fn swarm() -> Swarm<remote::Behaviour> {
    let tcp = tcp::Config::default().nodelay(true);
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp, noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(|key| {
            let config = messaging::Config::default().with_max_concurrent_streams(REQUESTS_AT_ONCE);
            remote::Behaviour::new(key.public().to_peer_id(), config)
        })
        .expect("a behaviour")
        .with_swarm_config(|config| {
            // A message goes out together with the name of its protocol, not behind the other's consent to it.
            config
                .with_idle_connection_timeout(LINK_LIMIT)
                .with_substream_upgrade_protocol_override(Version::V1Lazy)
        })
        .build();
    swarm.behaviour().init_global();
    swarm
}

/// Keeps a swarm going.
async fn carry(mut swarm: Swarm<remote::Behaviour>) {
    loop {
        swarm.select_next_some().await;
    }
}
