//! Two nodes of one process, each a thread with a runtime of its own on a CPU of its own, and the connection between
//! them.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

use mainspring_perf_contest::entrant::Task;
use tokio::runtime::Builder;
use tokio::task::yield_now;

use crate::Way;

/// The place of the node that begins.
pub const NEAR: u64 = 0;
/// The place of the other.
pub const FAR: u64 = 1;

/// Starts both nodes, does the work of each with its end of the connection, and returns what both came to.
///
/// # Panics
///
/// When there is no connection to be had on loopback, or the work of a node panics.
pub fn run<N, F>(
    task: &Task,
    way: Way,
    near: impl FnOnce(tokio::net::TcpStream) -> N,
    far: impl FnOnce(tokio::net::TcpStream) -> F + Send,
) -> (N::Output, F::Output)
where
    N: Future<Output: Send> + Send + 'static,
    F: Future<Output: Send> + Send + 'static,
{
    let (here, there) = connection().expect("a connection on loopback");
    let (first, last) = (task.cores[0], task.cores[task.cores.len() - 1]);
    // On a single CPU the other node must get its turn.
    let polls = way == Way::Tuned && first != last;
    thread::scope(|scope| {
        let other = scope.spawn(move || work(last, polls, there, far));
        let own = work(first, polls, here, near);
        (own, other.join().expect("the other node ends when this one has"))
    })
}

/// One node: it lives as long as its work.
fn work<W>(
    cpu: usize,
    polls: bool,
    socket: TcpStream,
    work: impl FnOnce(tokio::net::TcpStream) -> W,
) -> W::Output
where
    W: Future<Output: Send> + Send + 'static,
{
    // Where pinning is refused the thread runs anywhere on the CPUs that the harness has left to the process.
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
    let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime of tokio");
    runtime.block_on(async {
        let socket = tokio::net::TcpStream::from_std(socket).expect("a socket of the runtime");
        if polls {
            tokio::spawn(poll());
        }
        tokio::spawn(work(socket)).await.expect("the work of the node")
    })
}

/// A task that is always ready: the runtime looks at its sockets without sleeping.
async fn poll() {
    loop {
        yield_now().await;
    }
}

/// The two ends of a connection.
fn connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let here = TcpStream::connect(listener.local_addr()?)?;
    let (there, _) = listener.accept()?;
    for end in [&here, &there] {
        end.set_nodelay(true)?;
        end.set_nonblocking(true)?;
    }
    Ok((here, there))
}
