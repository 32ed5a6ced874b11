//! A node: a `NodeServer` on a current-thread runtime on a CPU of its own, and how two of them find each other.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::time::Duration;

use mainspring_perf_contest::far_process::{self, FarProcess};
use ractor::{Actor, ActorRef, Message, RpcReplyPort, pg};
use ractor_cluster::{NodeServer, NodeServerMessage, client_connect};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How long the two may take to find each other.
const LINK_LIMIT: Duration = Duration::from_secs(20);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The far node: `actors` makes its actors. It ends when the near one does.
///
/// # Panics
///
/// When it cannot listen on loopback.
pub fn far(cpu: &str, actors: impl Future<Output = ()>) {
    runtime(cpu.parse().expect("the number of a CPU")).block_on(async {
        let port = free_port();
        let _server = server("far", port).await;
        actors.await;
        println!("{port}");
        let (ended, end) = oneshot::channel();
        std::thread::spawn(move || {
            far_process::wait_for_end();
            ended.send(())
        });
        // Its sender is gone as well only when the near node is.
        let _ = end.await;
    });
}

/// Starts the far node with this word on the last CPU of a round and the near one on the first, links them, and does
/// `work`.
///
/// # Panics
///
/// When the nodes cannot be started.
pub fn near<W>(cores: &[usize], word: &str, work: impl Future<Output = W> + Send + 'static) -> W
where
    W: Send + 'static,
{
    let last = cores[cores.len() - 1].to_string();
    let mut far = FarProcess::start(&[word, &last]).expect("this program starts again");
    let port = far.line().expect("the far node says where it listens");
    runtime(cores[0]).block_on(async {
        let server = server("near", free_port()).await;
        client_connect(&server, format!("{LOOPBACK}:{port}")).await.expect("reaches the far node");
        tokio::spawn(work).await.expect("the work of the near node")
    })
}

/// The members of a group, once there are so many.
///
/// # Panics
///
/// When they do not come to be known in time.
pub async fn members<M: Message>(group: &str, count: usize) -> Vec<ActorRef<M>> {
    let found = async {
        loop {
            let members = pg::get_members(&group.to_owned());
            if members.len() == count {
                return members.into_iter().map(ActorRef::from).collect();
            }
            sleep(BETWEEN_LOOKS).await;
        }
    };
    timeout(LINK_LIMIT, found).await.expect("the nodes tell each other their groups")
}

/// Starts an actor and puts it into a group.
///
/// # Panics
///
/// When its `pre_start` fails: none of these does.
pub async fn spawn<A: Actor>(actor: A, arguments: A::Arguments, group: &str) -> ActorRef<A::Msg> {
    let (started, _) = Actor::spawn(None, actor, arguments).await.expect("the actor starts");
    pg::join(group.to_owned(), vec![started.get_cell()]);
    started
}

/// Asks an actor and waits for the answer without a deadline.
///
/// # Panics
///
/// When the actor stops without an answer.
pub async fn ask<M: Message, R: Send + 'static>(
    of: &ActorRef<M>,
    question: impl FnOnce(RpcReplyPort<R>) -> M,
) -> R {
    let answer = of.call(question, None).await;
    answer.ok().and_then(|answer| answer.success_or(()).ok()).expect("the actor answers")
}

async fn server(name: &str, port: u16) -> ActorRef<NodeServerMessage> {
    let (cookie, host) = ("contestant".to_owned(), LOOPBACK.to_string());
    let server = NodeServer::new(port, cookie, name.to_owned(), host, None, None);
    let server = server.with_listen_addr(LOOPBACK);
    Actor::spawn(None, server, ()).await.expect("listens on loopback").0
}

/// A `NodeServer` that picks a port by itself does not tell which.
fn free_port() -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a socket that is bound").port()
}

fn runtime(cpu: usize) -> Runtime {
    // Where pinning is refused the thread runs anywhere on the CPUs that the harness has left to the process.
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
    Builder::new_current_thread().enable_all().build().expect("a runtime of tokio")
}
