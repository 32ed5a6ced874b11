//! Clients that read and write registers without pause, and note what they were told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::{Connection, RedisError, RedisResult};

use crate::Outcome;
use crate::history::{Done, Loss, Operation, check};
use crate::town::connect;

/// Registers.
const KEYS: usize = 24;
/// Clients of each register. One that waits for its register holds up no other.
const CLIENTS_A_KEY: usize = 2;
/// How long a client waits for an answer before it gives it up.
const PATIENCE: Duration = Duration::from_secs(11);
/// How long a client rests after an error.
const REST: Duration = Duration::from_millis(20);
/// Between two operations of a client.
const PAUSE: Duration = Duration::from_millis(15);

/// Clients of several processes.
pub struct Clients {
    board: Arc<Board>,
    threads: Vec<JoinHandle<Vec<Operation>>>,
}

struct Board {
    begun: Instant,
    ends: AtomicBool,
    /// Where processes are found now.
    addresses: Mutex<Vec<String>>,
    last_value: AtomicU64,
    losses: Mutex<Vec<Loss>>,
    /// What was said in place of an answer, and was no word to try again.
    strange: Mutex<Vec<String>>,
}

/// What clients have seen.
pub struct Report {
    pub operations: Vec<Operation>,
    pub strange: Vec<String>,
    begun: Instant,
    losses: Vec<Loss>,
}

impl Clients {
    /// Clients of the processes at these addresses.
    pub fn start(addresses: Vec<String>) -> Clients {
        let board = Arc::new(Board {
            begun: Instant::now(),
            ends: AtomicBool::new(false),
            addresses: Mutex::new(addresses),
            last_value: AtomicU64::new(0),
            losses: Mutex::default(),
            strange: Mutex::default(),
        });
        let threads = (0..KEYS * CLIENTS_A_KEY).map(|number| {
            let board = Arc::clone(&board);
            std::thread::spawn(move || Client::new(number, board).run())
        });
        Clients { threads: threads.collect(), board }
    }

    /// From now on processes are found there.
    pub fn turn_to(&self, addresses: Vec<String>) {
        *lock(&self.board.addresses) = addresses;
    }

    /// While this is done registers may become empty.
    pub fn during<T>(&self, what: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let from_ns = self.board.now_ns();
        lock(&self.board.losses).push(Loss { from_ns, until_ns: u64::MAX });
        let done = what()?;
        if let Some(loss) = lock(&self.board.losses).last_mut() {
            loss.until_ns = self.board.now_ns();
        }
        Ok(done)
    }

    /// Lets them end. What they have seen.
    pub fn end(self) -> Outcome<Report> {
        self.board.ends.store(true, Ordering::Relaxed);
        let mut operations = Vec::new();
        for thread in self.threads {
            operations.extend(thread.join().map_err(|_| "a client panicked")?);
        }
        let (losses, strange) = (lock(&self.board.losses), lock(&self.board.strange));
        let (losses, strange) = (losses.clone(), strange.clone());
        Ok(Report { operations, strange, begun: self.board.begun, losses })
    }
}

impl Report {
    /// Every register has told what one register can tell, and nobody was told anything strange.
    #[track_caller]
    pub fn assert_right(&self) {
        let answered = self.operations.iter().filter(|it| it.returned_ns.is_some()).count();
        println!("{answered} of {} operations were answered", self.operations.len());
        assert!(answered > 500, "{answered} operations");
        assert!(self.strange.is_empty(), "{:#?}", &self.strange[..self.strange.len().min(10)]);
        let wrong = check(&self.operations, &self.losses);
        assert!(wrong.is_empty(), "{} registers: {}", wrong.len(), wrong[0]);
    }

    /// The longest time in which no operation on a key that was called after `since` returned; for each key, sorted.
    pub fn gaps(&self, since: Instant, until: Instant) -> Vec<Duration> {
        let at = |instant: Instant| instant.saturating_duration_since(self.begun).as_nanos() as u64;
        let (since_ns, until_ns) = (at(since), at(until));
        let gap = |key: u32| {
            let of_key = self.operations.iter().filter(|it| it.key == key);
            let returned = of_key.filter_map(|it| it.returned_ns);
            let inside = returned.filter(|at_ns| (since_ns..until_ns).contains(at_ns));
            let mut times: Vec<u64> = inside.chain([since_ns, until_ns]).collect();
            times.sort_unstable();
            let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
            Duration::from_nanos(longest.unwrap_or(0))
        };
        let mut gaps: Vec<Duration> = (0..KEYS as u32).map(gap).collect();
        gaps.sort_unstable();
        gaps
    }
}

impl Board {
    fn now_ns(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }
}

struct Client {
    number: usize,
    board: Arc<Board>,
    connection: Option<Connection>,
    /// Counts its operations and its connections, which decides what it does next.
    turn: usize,
    operations: Vec<Operation>,
}

impl Client {
    fn new(number: usize, board: Arc<Board>) -> Client {
        Client { number, board, connection: None, turn: 0, operations: Vec::new() }
    }

    fn run(mut self) -> Vec<Operation> {
        while !self.board.ends.load(Ordering::Relaxed) {
            self.turn += 1;
            let Some(mut connection) = self.connection.take().or_else(|| self.connect()) else {
                std::thread::sleep(REST);
                continue;
            };
            let key = (self.number % KEYS) as u32;
            let is_write = (self.turn + self.number / KEYS).is_multiple_of(2);
            let (value, called_ns) =
                (self.board.last_value.fetch_add(1, Ordering::Relaxed) + 1, self.board.now_ns());
            let done = ask(&mut connection, key, is_write.then_some(value));
            let returned_ns = Some(self.board.now_ns());
            let note = |done, returned_ns| Operation { key, done, called_ns, returned_ns };
            match done {
                Ok(done) => {
                    self.operations.push(note(done, returned_ns));
                    self.connection = Some(connection);
                    std::thread::sleep(PAUSE);
                }
                Err(error) => {
                    if is_write && !was_not_done(&error) {
                        self.operations.push(note(Done::Wrote(value), None));
                    }
                    if !may_be_tried_again(&error) {
                        lock(&self.board.strange).push(error.to_string());
                    }
                    std::thread::sleep(REST);
                }
            }
        }
        self.operations
    }

    fn connect(&mut self) -> Option<Connection> {
        let addresses = lock(&self.board.addresses).clone();
        let address = addresses.get((self.turn + self.number) % addresses.len().max(1))?;
        connect(address, PATIENCE).ok()
    }
}

fn ask(connection: &mut Connection, key: u32, value: Option<u64>) -> RedisResult<Done> {
    let key = format!("register:{key}");
    match value {
        None => redis::cmd("GET").arg(key).query(connection).map(Done::Read),
        Some(value) => {
            let () = redis::cmd("SET").arg(key).arg(value).query(connection)?;
            Ok(Done::Wrote(value))
        }
    }
}

fn text(error: &RedisError) -> String {
    format!("{} {}", error.code().unwrap_or_default(), error.detail().unwrap_or_default())
}

fn was_not_done(error: &RedisError) -> bool {
    text(error).contains("nothing was done")
}

/// Whether an error is one of those that the program promises: try again, nobody knows, or the connection ended.
fn may_be_tried_again(error: &RedisError) -> bool {
    let text = text(error);
    let is_promised = ["TRYAGAIN", "CLUSTERDOWN", "ERR nobody knows", "ERR no answer"];
    is_promised.iter().any(|word| text.starts_with(word))
        || error.is_io_error()
        || error.is_connection_dropped()
        || error.is_timeout()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
