//! A node under attack, and a bystander that is linked to it directly and must not notice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mainspring::prelude::*;
use mainspring_transport::handshake::Key;
use mainspring_transport::link::events::LinkEvent;
use mainspring_transport::{LinkFigures, Links, Transport};

use crate::ledger::{Ledger, Note, Sender};
use crate::{Outcome, PATIENCE, log};

/// What the bystander calls itself in its notes; others have other numbers.
const BYSTANDER: u32 = u32::MAX;

/// See the module's header.
pub struct Scene {
    pub node: Node,
    pub links: Links,
    pub address: SocketAddr,
    pub ledger: ActorRef<Note>,
    pub bystander: Bystander,
}

impl Scene {
    /// A node of one core with this name that listens as `transport` says, on a port of the system's choice.
    pub fn new(name: &str, transport: Transport) -> Outcome<Scene> {
        Scene::made(name, transport, Transport::new())
    }

    /// The same, where all nodes have a key.
    pub fn new_with_key(name: &str, key: Key) -> Outcome<Scene> {
        Scene::made(name, Transport::new().key(key.clone()), Transport::new().key(key))
    }

    fn made(name: &str, transport: Transport, of_bystander: Transport) -> Outcome<Scene> {
        log::begin();
        let (node, links) = start(name, transport.listen("127.0.0.1:0")?)?;
        let address = links.wait_listening(PATIENCE).ok_or("it does not listen")?;
        let ledger = node.spawn(Ledger::default)?;
        let bystander = format!("{name}-bystander");
        let bystander = Bystander::new(&bystander, of_bystander, address, ledger)?;
        Ok(Scene { node, links, address, ledger, bystander })
    }

    /// Ends it all: the bystander must not have noticed anything.
    pub fn end(self) -> Outcome {
        self.bystander.end()?;
        self.node.shutdown(PATIENCE)?;
        Ok(())
    }

    /// Waits until the node's figures are as `wanted`.
    pub fn wait_figures(&self, wanted: impl Fn(&LinkFigures) -> bool) -> LinkFigures {
        wait_figures(&self.links, wanted)
    }
}

/// A node of one core.
pub fn start(name: &str, transport: Transport) -> Outcome<(Node, Links)> {
    let links = transport.links();
    let builder = Node::builder().name(name).cores(Cores::count(1)).idle(IdleProfile::Eco);
    Ok((builder.with(transport).start()?, links))
}

/// Waits until what links have counted is as `wanted`.
pub fn wait_figures(links: &Links, wanted: impl Fn(&LinkFigures) -> bool) -> LinkFigures {
    let end = Instant::now() + PATIENCE;
    loop {
        let figures = links.figures();
        if wanted(&figures) {
            return figures;
        }
        assert!(Instant::now() < end, "it came to {figures:?}");
        std::thread::yield_now();
    }
}

/// Waits for an event as `wanted`; the others before it are taken too.
pub fn wait_event(links: &Links, wanted: impl Fn(&LinkEvent) -> bool) -> Outcome<LinkEvent> {
    let end = Instant::now() + PATIENCE;
    let mut others = Vec::new();
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        match links.wait_event(left) {
            Some(event) if wanted(&event) => return Ok(event),
            other => others.extend(other),
        }
    }
    Err(format!("the event did not come, only {others:?}").into())
}

/// A node that asks the node under attack one question after the other.
pub struct Bystander {
    asking: JoinHandle<Result<Sender, String>>,
    ends: Arc<AtomicBool>,
    node: Node,
    links: Links,
}

impl Bystander {
    /// Linked to what listens there.
    pub fn new(
        name: &str,
        transport: Transport,
        address: SocketAddr,
        ledger: ActorRef<Note>,
    ) -> Outcome<Bystander> {
        let (node, links) = start(name, transport.connect(&address.to_string())?)?;
        links.wait_for_nodes(1, PATIENCE).ok_or("the bystander was not let in")?;
        let ends = Arc::new(AtomicBool::new(false));
        let mut sender = Sender::new(node.client(), ledger, BYSTANDER, 100);
        let is_over = Arc::clone(&ends);
        let asking = std::thread::spawn(move || {
            while !is_over.load(Ordering::Acquire) {
                sender.ask(PATIENCE).map_err(|error| error.to_string())?;
                // Now and then is enough, and leaves the machine to the others.
                std::thread::park_timeout(Duration::from_millis(5));
            }
            Ok(sender)
        });
        Ok(Bystander { asking, ends, node, links })
    }

    /// This life of its node.
    pub fn incarnation(&self) -> u32 {
        self.node.info().incarnation
    }

    /// All questions were answered, each once and in order, and its connections never ended.
    pub fn end(self) -> Outcome {
        self.ends.store(true, Ordering::Release);
        let mut sender = self.asking.join().map_err(|_| "the bystander failed")??;
        let account = sender.ask(PATIENCE)?;
        assert_eq!((account.count, account.wrong), (sender.made(), 0));
        let figures = self.links.figures();
        assert_eq!(figures.disconnections, 0, "{figures:?}");
        self.node.shutdown(PATIENCE)?;
        Ok(())
    }
}
