//! Threads for blocking calls: a bounded pool, not pinned, shared by the cores of a node.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::core::inbound::Injector;
use crate::core::tasks::{Blocking, BlockingWork};

type Piece = (BlockingWork, Arc<Injector>);

/// The pool. Dropping it ends its threads when the work that they hold is done.
pub(super) struct Pool {
    queue: Option<SyncSender<Piece>>,
    limit: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// So many threads, and at most `limit` pieces of work that wait for one.
    pub fn start(node: &str, threads: usize, limit: usize) -> std::io::Result<Pool> {
        let (queue, work) = sync_channel(limit);
        let work = Arc::new(Mutex::new(work));
        let mut pool = Pool { queue: Some(queue), limit, threads: Vec::new() };
        for number in 0..threads {
            let work = Arc::clone(&work);
            let name = format!("{node}-block-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || run(&work))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// What a core needs to make its own way to the pool.
    pub fn handle(&self) -> Option<Handle> {
        let queue = self.queue.clone()?;
        (!self.threads.is_empty()).then_some(Handle { queue, limit: self.limit })
    }
}

/// A way to the pool that may move to a core's thread.
pub(super) struct Handle {
    queue: SyncSender<Piece>,
    limit: usize,
}

impl Handle {
    /// The pool as one core sees it.
    pub fn of_core(self, injector: Arc<Injector>) -> Box<dyn Blocking> {
        Box::new(OfCore { queue: self.queue, injector, limit: self.limit })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A thread ends when the cores have dropped their ends too; who shuts a node down does not wait for a
            // call that blocks.
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
    }
}

struct OfCore {
    queue: SyncSender<Piece>,
    injector: Arc<Injector>,
    limit: usize,
}

impl Blocking for OfCore {
    fn submit(&self, work: BlockingWork) -> Result<(), usize> {
        match self.queue.try_send((work, Arc::clone(&self.injector))) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(self.limit),
        }
    }
}

fn run(work: &Mutex<Receiver<Piece>>) {
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((work, injector)) = next else { return };
        let mut completion = work();
        // The result must come back; the core takes injected work in every sweep.
        while let Err(refused) = injector.inject(completion) {
            completion = refused;
            std::thread::yield_now();
        }
    }
}
