//! How long a change of owner takes in etcd: one node that gives a shard to itself, one change after another.
//!
//! `cargo run --release -p mainspring-sharding --features etcd --example owner_changes -- 127.0.0.1:2379`, with the
//! addresses of all members; it works below the prefix `owner-changes`, 2,000 changes.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainspring_sharding::etcd::{Etcd, EtcdAccess};
use mainspring_sharding::ownership::{
    ClusterStore, Epoch, NodeRecord, Ownership, Place, RequestId, StoreAnswer, StoreNews,
    StoreQuestion, StoreRequest,
};

const CHANGES: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(10);

struct Asking {
    store: EtcdAccess,
    since: Instant,
    next_id: u64,
}

impl Asking {
    fn ask(&mut self, question: StoreQuestion) -> Result<StoreNews, String> {
        self.next_id += 1;
        let (id, begun) = (RequestId(self.next_id), Instant::now());
        let now_ns = |since: Instant| since.elapsed().as_nanos() as u64;
        self.store.ask(now_ns(self.since), id, question).map_err(|error| error.to_string())?;
        let mut news = Vec::new();
        while begun.elapsed() < PATIENCE {
            self.store.poll(now_ns(self.since), &mut news);
            for news in news.drain(..) {
                match &news {
                    StoreNews::Failed(_, error) => return Err(error.to_string()),
                    StoreNews::Registered(of) | StoreNews::Answer(of, _) if *of == id => {
                        return Ok(news);
                    }
                    _ => {}
                }
            }
            std::thread::yield_now();
        }
        Err("no answer within 10 s".to_owned())
    }

    fn change(&mut self, request: StoreRequest<Place>) -> Result<Ownership<Place>, String> {
        let entity_type: Arc<str> = Arc::from("measured");
        match self.ask(StoreQuestion::Ownership { entity_type, request })? {
            StoreNews::Answer(_, StoreAnswer::Changed(record)) => Ok(record),
            other => Err(format!("the owner was not changed: {other:?}")),
        }
    }
}

fn measure(addresses: Vec<String>) -> Result<Vec<Duration>, String> {
    // One shard of a number of its own for each run: its first owner is of this life.
    let shard = std::process::id();
    let to = Place { incarnation: u64::from(shard), core: 0 };
    let store = Etcd::at(addresses).prefix("owner-changes").start();
    let store = store.map_err(|error| error.to_string())?;
    let mut asking = Asking { store, since: Instant::now(), next_id: 0 };
    let record = NodeRecord { incarnation: to.incarnation, address: "measured".to_owned() };
    asking.ask(StoreQuestion::Register(record))?;
    let first = StoreRequest::TakeOver { shard, expected: Epoch::NONE, to };
    let mut epoch = asking.change(first)?.epoch;
    let mut times = Vec::with_capacity(CHANGES);
    for _ in 0..CHANGES {
        let begun = Instant::now();
        epoch = asking.change(StoreRequest::GiveAway { shard, expected: epoch, to })?.epoch;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(times)
}

fn main() -> ExitCode {
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    if addresses.is_empty() {
        eprintln!("name the addresses of etcd's members, as in 127.0.0.1:2379");
        return ExitCode::from(2);
    }
    match measure(addresses) {
        Ok(times) => {
            let at = |percent: usize| times[(times.len() - 1) * percent / 100];
            println!("{CHANGES} changes: p50 {:?}, p99 {:?}, max {:?}", at(50), at(99), at(100));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(1)
        }
    }
}
