//! The named limits of a core. Nothing in a core grows beyond one of them.

/// Limits and budgets of one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most actors that live on one core.
    pub actors: usize,
    /// Bytes of the queue from a core to itself.
    pub local_queue_bytes: usize,
    /// Bytes of the ring from one core to another, users' lane. A power of two.
    pub ring_bytes: usize,
    /// Bytes of the ring from one core to another, control lane. A power of two.
    pub control_ring_bytes: usize,
    /// Bytes of each ring between a client and a core. A power of two.
    pub client_ring_bytes: usize,
    /// Bytes that one actor may keep for later.
    pub stash_bytes: usize,
    /// Bytes of the largest message.
    pub message_bytes: usize,
    /// Asks of one core that wait for answers.
    pub asks: usize,
    /// Pending timers of one core.
    pub timers: usize,
    /// Futures of one core that are under way.
    pub tasks: usize,
    /// Blocking calls of one core that are under way.
    pub jobs: usize,
    /// Clients of one node at the same time.
    pub clients: usize,
    /// Sockets of one core at the same time.
    pub sockets: usize,
    /// Bytes of memory for what all sockets of one core have received, beyond the first kibibyte of each.
    pub receive_memory_bytes: usize,
    /// Turns from the local queue in one sweep.
    pub local_budget: u64,
    /// Turns from each inbound ring in one sweep.
    pub inbound_budget: u64,
    /// Control messages in one sweep.
    pub control_budget: usize,
    /// Timers fired in one sweep.
    pub timer_budget: usize,
    /// A turn that takes longer is logged, in nanoseconds.
    pub slow_turn_ns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            actors: 4 << 20,
            local_queue_bytes: 64 << 20,
            ring_bytes: 1 << 20,
            control_ring_bytes: 64 << 10,
            client_ring_bytes: 64 << 10,
            stash_bytes: 1 << 20,
            message_bytes: 64 << 20,
            asks: 1 << 20,
            timers: 8 << 20,
            tasks: 1 << 16,
            jobs: 1024,
            clients: 1024,
            sockets: 1 << 14,
            receive_memory_bytes: 256 << 20,
            local_budget: 1024,
            inbound_budget: 256,
            control_budget: 1024,
            timer_budget: 1024,
            slow_turn_ns: 10_000_000,
        }
    }
}
