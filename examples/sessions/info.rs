//! What the server tells of itself: what connections answer without asking anybody.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use mainspring_transport::ingress::IngressHandle;

use super::command::{COMMANDS, Served, Spec, find};
use super::connection::Client;
use super::reply::{Reply, Resp};

/// The version of Redis whose commands and errors these are.
const REDIS_VERSION: &str = "7.0.15";

/// What becomes of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Course {
    Serving = 0,
    /// It leaves its cluster in order.
    Leaving = 1,
    /// It was given up by its cluster, and ends.
    Out = 2,
}

/// What all connections of the server have in common.
#[derive(Debug)]
pub struct Server {
    entity_type: u64,
    is_durable: bool,
    course: AtomicU8,
    /// What is known of the cluster, if there is one.
    cluster: Mutex<Option<String>>,
    port: OnceLock<u16>,
    ingress: OnceLock<IngressHandle>,
    started: Instant,
    last_client: AtomicU64,
    /// Commands, by the core that has served them.
    commands: Box<[AtomicU64]>,
}

impl Server {
    /// A server on so many cores, whose keys are entities of this type.
    pub fn new(entity_type: u64, cores: u16, is_durable: bool) -> Server {
        Server {
            entity_type,
            is_durable,
            course: AtomicU8::new(Course::Serving as u8),
            cluster: Mutex::new(None),
            port: OnceLock::new(),
            ingress: OnceLock::new(),
            started: Instant::now(),
            last_client: AtomicU64::new(0),
            commands: (0..cores).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Connections come from there. Said once.
    pub fn listens(&self, ingress: IngressHandle, port: u16) {
        let _ = self.ingress.set(ingress);
        let _ = self.port.set(port);
    }

    /// Of the keys.
    pub fn entity_type(&self) -> u64 {
        self.entity_type
    }

    /// What becomes of the process.
    pub fn course(&self) -> Course {
        match self.course.load(Ordering::Relaxed) {
            0 => Course::Serving,
            1 => Course::Leaving,
            _ => Course::Out,
        }
    }

    /// The process leaves, or is out. It never turns back.
    pub fn set_course(&self, course: Course) {
        self.course.fetch_max(course as u8, Ordering::Relaxed);
    }

    /// What is known of the cluster now.
    pub fn set_cluster(&self, text: String) {
        *self.cluster.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// The number of one more client.
    pub fn next_client(&self) -> u64 {
        self.last_client.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A core has served so many commands more.
    pub fn count(&self, core: u16, commands: u64) {
        if let Some(counter) = self.commands.get(usize::from(core)) {
            // Only this core writes it.
            counter.store(counter.load(Ordering::Relaxed) + commands, Ordering::Relaxed);
        }
    }

    /// Answers what is about no key.
    pub fn serve(&self, client: &mut Client, served: &Served<'_>) -> Reply {
        match served {
            Served::Ping { echo: None } => Reply::Status("PONG".to_owned()),
            Served::Ping { echo: Some(bytes) } | Served::Echo { bytes } => Reply::bulk(bytes),
            Served::Hello { resp, name } => {
                client.resp = resp.unwrap_or(client.resp);
                client.name = name.map_or_else(|| client.name.clone(), <[u8]>::to_vec);
                self.hello(client)
            }
            Served::SetName { name } => {
                client.name = name.to_vec();
                Reply::Ok
            }
            Served::GetName if client.name.is_empty() => Reply::Null,
            Served::GetName => Reply::bulk(&client.name),
            Served::ClientId => Reply::Integer(client.id as i64),
            Served::ClientList => Reply::bulk(client.line()),
            Served::SetInfo | Served::Select | Served::Quit => Reply::Ok,
            Served::Commands => Reply::List(COMMANDS.iter().map(row).collect()),
            Served::CommandCount => Reply::Integer(COMMANDS.len() as i64),
            Served::CommandDocs { names } => Reply::Map(docs(names)),
            Served::CommandInfo { names } if names.is_empty() => {
                Reply::List(COMMANDS.iter().map(row).collect())
            }
            Served::CommandInfo { names } => {
                Reply::List(names.iter().map(|name| find(name).map_or(Reply::Null, row)).collect())
            }
            Served::ConfigGet { names } => self.configuration(names),
            Served::Info { section } => Reply::bulk(self.info(*section)),
        }
    }

    fn hello(&self, client: &Client) -> Reply {
        let version = if client.resp == Resp::Three { 3 } else { 2 };
        Reply::Map(vec![
            Reply::bulk("server"),
            Reply::bulk("redis"),
            Reply::bulk("version"),
            Reply::bulk(REDIS_VERSION),
            Reply::bulk("proto"),
            Reply::Integer(version),
            Reply::bulk("id"),
            Reply::Integer(client.id as i64),
            Reply::bulk("mode"),
            Reply::bulk("standalone"),
            Reply::bulk("role"),
            Reply::bulk("master"),
            Reply::bulk("modules"),
            Reply::List(Vec::new()),
        ])
    }

    /// What of the configuration has these names: benchmarks print it.
    fn configuration(&self, names: &[&[u8]]) -> Reply {
        let appends = if self.is_durable { "yes" } else { "no" };
        let known = [("save", ""), ("appendonly", appends), ("appendfsync", "always")];
        let wanted = |name: &str| {
            names
                .iter()
                .any(|wanted| *wanted == b"*" || wanted.eq_ignore_ascii_case(name.as_bytes()))
        };
        let found = known.iter().filter(|(name, _)| wanted(name));
        Reply::Map(found.flat_map(|(name, to)| [Reply::bulk(name), Reply::bulk(to)]).collect())
    }

    fn info(&self, section: Option<&[u8]>) -> String {
        let sections = [
            ("server", self.info_server()),
            ("clients", self.info_clients()),
            ("memory", memory()),
            ("persistence", self.info_persistence()),
            ("stats", self.info_stats()),
            ("cluster", self.info_cluster()),
            ("keyspace", "# Keyspace\r\n".to_owned()),
        ];
        let is_wanted = |name: &str| match section {
            None => true,
            Some(wanted) => [name, "all", "default", "everything"]
                .iter()
                .any(|name| wanted.eq_ignore_ascii_case(name.as_bytes())),
        };
        let wanted = sections.into_iter().filter(|(name, _)| is_wanted(name));
        wanted.map(|(_, text)| text).collect::<Vec<_>>().join("\r\n")
    }

    fn info_server(&self) -> String {
        let (process, seconds) = (std::process::id(), self.started.elapsed().as_secs());
        let port = self.port.get().copied().unwrap_or_default();
        let cores = self.commands.len();
        format!(
            "# Server\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\nserver_name:mainspring-sessions\r\n\
             process_id:{process}\r\ntcp_port:{port}\r\nuptime_in_seconds:{seconds}\r\nio_threads_active:{cores}\r\n"
        )
    }

    fn info_clients(&self) -> String {
        let open = self.ingress.get().map_or(0, |ingress| ingress.figures().open);
        format!("# Clients\r\nconnected_clients:{open}\r\n")
    }

    fn info_persistence(&self) -> String {
        let is_durable = u8::from(self.is_durable);
        format!("# Persistence\r\nloading:0\r\naof_enabled:{is_durable}\r\n")
    }

    fn info_cluster(&self) -> String {
        let cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cluster.as_deref().unwrap_or("cluster_enabled:0\r\n");
        format!("# Cluster\r\n{known}")
    }

    fn info_stats(&self) -> String {
        let figures = self.ingress.get().map(IngressHandle::figures).unwrap_or_default();
        let commands: u64 = self.commands.iter().map(|it| it.load(Ordering::Relaxed)).sum();
        format!(
            "# Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{commands}\r\n\
             total_net_input_bytes:{}\r\ntotal_net_output_bytes:{}\r\nrejected_connections:{}\r\n",
            figures.accepted, figures.received_bytes, figures.sent_bytes, figures.refused
        )
    }
}

impl Client {
    fn line(&self) -> String {
        let Client { id, address, name, resp } = self;
        let name = String::from_utf8_lossy(name);
        let resp = if *resp == Resp::Three { 3 } else { 2 };
        format!("id={id} addr={address} name={name} db=0 resp={resp}\n")
    }
}

/// Resident memory of the process, as the kernel counts it.
fn memory() -> String {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| {
        text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok())
    });
    let bytes = pages.unwrap_or_default() * 4_096;
    format!("# Memory\r\nused_memory_rss:{bytes}\r\n")
}

/// A command, as `COMMAND` lists it.
fn row(spec: &Spec) -> Reply {
    let (first, last, step) = spec.keys;
    let flags = spec.flags.iter().map(|flag| Reply::Status((*flag).to_owned()));
    Reply::List(vec![
        Reply::bulk(spec.name),
        Reply::Integer(spec.arity),
        Reply::Set(flags.collect()),
        Reply::Integer(first),
        Reply::Integer(last),
        Reply::Integer(step),
    ])
}

/// What is said of commands: how many words they have.
fn docs(names: &[&[u8]]) -> Vec<Reply> {
    let all = || COMMANDS.iter().collect::<Vec<_>>();
    let wanted = match names.is_empty() {
        true => all(),
        false => names.iter().filter_map(|name| find(name)).collect(),
    };
    let summary = |spec: &Spec| {
        let many = if spec.arity < 0 { " or more" } else { "" };
        let words = spec.arity.unsigned_abs();
        let text = format!("See the command of Redis of this name; {words}{many} words");
        Reply::Map(vec![Reply::bulk("summary"), Reply::bulk(text)])
    };
    wanted.into_iter().flat_map(|spec| [Reply::bulk(spec.name), summary(spec)]).collect()
}
