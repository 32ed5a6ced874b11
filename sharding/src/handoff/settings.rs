//! The limits and intervals of a region.

/// What a region may hold and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Bytes of all parked messages of the entity type at this place, forwarded ones included until acknowledged.
    pub parked_limit_bytes: usize,
    /// The same, in messages.
    pub parked_limit: usize,
    /// Messages in one `Forward`.
    pub forward_limit: usize,
    /// Bytes in one `Forward`; a message that is larger goes alone.
    pub forward_limit_bytes: usize,
    /// After how long a step is done again; 0 counts as 1.
    pub retry_ns: u64,
    /// How long entities may take to stop before they are killed.
    pub stop_within_ns: u64,
    #[cfg(test)]
    pub(crate) flaw: Option<Flaw>,
}

impl Default for Settings {
    /// 16 MiB or 100,000 messages parked, 64 or 64 KiB in one `Forward`, steps again after 2 s, entities killed after
    /// 10 s.
    fn default() -> Settings {
        Settings {
            parked_limit_bytes: 16 << 20,
            parked_limit: 100_000,
            forward_limit: 64,
            forward_limit_bytes: 64 << 10,
            retry_ns: 2_000_000_000,
            stop_within_ns: 10_000_000_000,
            #[cfg(test)]
            flaw: None,
        }
    }
}

/// A guard that is switched off, to see the proof fail without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flaw {
    /// Acts on records of lower epochs.
    BelievesLowerEpochs,
    /// Delivers a sender's direct messages before its flush.
    SkipsFlush,
    /// Resumes when the outcome of the give-away is unknown.
    ResumesOnGuess,
    /// Resumes at the old epoch although a give-away may still be on its way to the store.
    ResumesAtOldEpoch,
    /// Takes the items of a repeated `Forward` again.
    TakesForwardTwice,
    /// Gives the shard away while entities still run.
    SkipsStop,
    /// Moves on before the last move has settled.
    SkipsSettling,
    /// Opens before the journal has sealed.
    SkipsSeal,
    /// Delivers what was sent to an owner of any epoch.
    AcceptsAnyEpoch,
}

impl Settings {
    /// Never at once: the tick that does a step again would not come to an end.
    pub(super) fn retry_ns(&self) -> u64 {
        self.retry_ns.max(1)
    }

    /// Whether this guard is switched off; never outside of tests.
    #[cfg(test)]
    pub(super) fn lacks(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// Whether this guard is switched off; never outside of tests.
    #[cfg(not(test))]
    #[inline(always)]
    pub(super) fn lacks(&self, _flaw: Flaw) -> bool {
        false
    }
}
