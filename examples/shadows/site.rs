//! The shadows on a node: their journal, their shards, and a gateway on each core.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use mainspring::message::Reply;
use mainspring::node::{Ask, ClientError, NodeError, StartError};
use mainspring::prelude::*;
use mainspring_journal::{Journal, Stored};
use mainspring_sharding::rebalance::{Balance, RebalanceSettings};
use mainspring_sharding::{
    DeclareError, Entities, EntityTellError, EntityType, RegionFigures, Sharding,
};

use super::gateway::{Gateway, GatewayMessage, Measured, Taken, Work};
use super::mover::Mover;
use super::options::{CoresRefused, Options};
use super::shadow::{Shadow, ShadowCommand};

/// Over which the shadows are spread: in the journal, and between the cores.
const SHARDS: u32 = 1_024;
/// Of a segment of the journal: small, so that a short run needs little room.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Shadows that are asked at the same time.
const QUESTIONS: usize = 1_024;
/// Of the way back to the one who asks, so that it has room for the answers to all of them.
const ANSWERS_BYTES: usize = 4 << 20;
/// How long an actor may take to recover and to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long the node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Why the shadows do not work.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(transparent)]
    Cores(#[from] CoresRefused),
    #[error("the shadows cannot be declared: {0}")]
    Declare(#[from] DeclareError),
    #[error("the node did not start: {0}")]
    Start(#[from] StartError),
    #[error("a gateway was not made: {0}")]
    Spawn(#[from] NodeError),
    #[error("a question was not asked: {0}")]
    Send(#[from] EntityTellError),
    #[error("an actor did not answer: {0}")]
    Ask(#[from] ClientError),
    #[error("device {device} did not answer: {source}")]
    Device { device: u32, source: ClientError },
    #[error("the node did not stop in order: {0}")]
    Stop(#[from] mainspring::Error),
}

/// The shadows on a node.
pub struct Site {
    node: Node,
    client: Client,
    shadows: Entities<ShadowCommand>,
    devices: u32,
}

impl Site {
    /// Opens the journal in `data` and starts the node. No shadow is in memory yet.
    pub fn open(options: &Options, data: &Path) -> Result<Site, SiteError> {
        let journal = Journal::at(data.join("journal"))
            .system("shadows")
            .shard_count(SHARDS)
            .segment_bytes(SEGMENT_BYTES)
            .allow_buffered(options.allow_buffered);
        let cores = options.core_count()?;
        let shadow = EntityType::new("shadow")
            .shards(SHARDS)
            .at_most(options.active_on_each(cores))
            .passivate_after(options.idle())
            // Shards move when they are told to, and stay there.
            .rebalance(RebalanceSettings { balance: Balance::Off, ..RebalanceSettings::default() });
        let sharding = Sharding::stored_in(data);
        let shadows = sharding.entities(shadow, |id| Stored::new(id.bytes(), Shadow::default))?;
        let node = Node::builder()
            .name("shadows")
            .cores(options.cores.clone())
            .limits(|limits| limits.client_ring_bytes = ANSWERS_BYTES)
            .with(journal)
            .with(sharding)
            .start()?;
        let client = node.client();
        Ok(Site { node, client, shadows, devices: options.devices })
    }

    /// How many cores there are.
    pub fn cores(&self) -> u16 {
        self.node.cores()
    }

    /// A thread's way to the actors.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Starts a gateway on each core; they begin when they are asked for the first time.
    pub fn gateways(&self, options: &Options) -> Result<Vec<ActorRef<GatewayMessage>>, SiteError> {
        let gateways = (0..self.cores()).map(|core| {
            let work = Work {
                devices: options.devices,
                gateway: core.into(),
                gateways: self.cores().into(),
                skew: options.skew,
                seed: options.seed,
                window: options.window.into(),
                forget_every: options.forget_every,
            };
            let shadows = self.shadows.clone();
            let make = move || Gateway::new(work.clone(), shadows.clone());
            Ok(self.node.actor(make).on_core(core).start()?)
        });
        gateways.collect()
    }

    /// Who moves shards.
    pub fn mover(&self, options: &Options) -> Result<Mover, SiteError> {
        let ended = self.client.inbox()?;
        Ok(Mover::new(options, self.shadows.clone(), self.cores(), ended))
    }

    /// What was acknowledged since the last question.
    pub fn take(&self, gateways: &[ActorRef<GatewayMessage>]) -> Result<Vec<Taken>, SiteError> {
        self.ask_gateways(gateways, |reply_to| GatewayMessage::Take { reply_to })
    }

    /// What was measured since the last question.
    pub fn measure(
        &self,
        gateways: &[ActorRef<GatewayMessage>],
    ) -> Result<Vec<Measured>, SiteError> {
        self.ask_gateways(gateways, |reply_to| GatewayMessage::Measure { reply_to })
    }

    fn ask_gateways<R: Reply>(
        &self,
        gateways: &[ActorRef<GatewayMessage>],
        question: impl Fn(ActorRef<R>) -> GatewayMessage,
    ) -> Result<Vec<R>, SiteError> {
        let ask = |gateway: &ActorRef<_>| self.client.ask(*gateway, &question, ANSWER_WITHIN);
        let asked: Vec<Ask<R>> = gateways.iter().map(ask).collect();
        asked.into_iter().map(|asked| Ok(asked.wait()?)).collect()
    }

    /// What the regions of all cores have counted.
    pub fn figures(&self) -> Result<Vec<RegionFigures>, SiteError> {
        let figures = (0..self.cores())
            .map(|core| Ok(self.shadows.figures(&self.client, core, ANSWER_WITHIN)?.wait()?));
        figures.collect()
    }

    /// Asks one shadow after another; how long each took to answer, in nanoseconds.
    pub fn read_singly<E: From<SiteError>>(
        &self,
        devices: impl Iterator<Item = u32>,
        mut found: impl FnMut(u32, Shadow) -> Result<(), E>,
    ) -> Result<Vec<u64>, E> {
        let mut took_ns = Vec::new();
        for device in devices {
            let begun = Instant::now();
            let shadow = Self::answer(device, self.describe(device)?)?;
            took_ns.push(begun.elapsed().as_nanos() as u64);
            found(device, shadow)?;
        }
        Ok(took_ns)
    }

    /// Asks many shadows at the same time.
    pub fn read_together<E: From<SiteError>>(
        &self,
        devices: impl Iterator<Item = u32>,
        mut found: impl FnMut(u32, Shadow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut asked = VecDeque::with_capacity(QUESTIONS);
        for device in devices {
            if asked.len() == QUESTIONS
                && let Some((device, ask)) = asked.pop_front()
            {
                found(device, Self::answer(device, ask)?)?;
            }
            asked.push_back((device, self.describe(device)?));
        }
        for (device, ask) in asked {
            found(device, Self::answer(device, ask)?)?;
        }
        Ok(())
    }

    fn describe(&self, device: u32) -> Result<Ask<Shadow>, SiteError> {
        let question = |reply_to| ShadowCommand::Describe { reply_to };
        Ok(self.shadows.ask(&self.client, u64::from(device), question, ANSWER_WITHIN)?)
    }

    fn answer(device: u32, ask: Ask<Shadow>) -> Result<Shadow, SiteError> {
        ask.wait().map_err(|source| SiteError::Device { device, source })
    }

    /// How many devices there are.
    pub fn devices(&self) -> u32 {
        self.devices
    }

    /// Closes the journal and stops the node.
    pub fn close(self) -> Result<(), SiteError> {
        let Site { node, client, shadows, .. } = self;
        drop((client, shadows));
        Ok(node.shutdown(STOP_WITHIN)?)
    }
}
