//! Messages that found no room on their way to the regions of other cores, within a limit of bytes for a region.
//!
//! Invariant: those for one core leave in the order in which they came; a core whose way is full holds up no other.

use std::collections::{BTreeMap, VecDeque};

use mainspring::message::Enclosed;
use mainspring::prelude::*;

use super::envelope::{Envelope, RegionMessage, Word};
use crate::ownership::Place;

/// See the module's header.
pub(super) struct Unsent<M> {
    /// By the place that they are for; none is empty.
    queues: BTreeMap<Place, VecDeque<RegionMessage<M>>>,
    bytes: usize,
    limit_bytes: usize,
}

impl<M> Unsent<M> {
    pub fn new(limit_bytes: usize) -> Self {
        Unsent { queues: BTreeMap::new(), bytes: 0, limit_bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether messages wait for room on the way to a core: later ones go behind them.
    pub fn has(&self, to: Place) -> bool {
        self.queues.contains_key(&to)
    }

    /// Keeps a message, if there is room. One alone always fits: nothing else could make room for it.
    #[must_use]
    pub fn keep(&mut self, to: Place, message: RegionMessage<M>) -> bool {
        let bytes = self.bytes.saturating_add(len_bytes(&message));
        if bytes > self.limit_bytes && !self.is_empty() {
            return false;
        }
        self.bytes = bytes;
        self.queues.entry(to).or_default().push_back(message);
        true
    }

    /// A place is gone, and with it what waits for it.
    pub fn forget(&mut self, to: Place) {
        let queue = self.queues.remove(&to).unwrap_or_default();
        self.bytes -= queue.iter().map(len_bytes).sum::<usize>();
    }

    /// Gives `send` the messages for every core, until its way is full again. How many cannot be sent at all.
    pub fn send(
        &mut self,
        mut send: impl FnMut(Place, &RegionMessage<M>) -> Result<(), TellError>,
    ) -> u64 {
        let mut refused = 0;
        let bytes = &mut self.bytes;
        self.queues.retain(|to, queue| {
            while let Some(message) = queue.front() {
                match send(*to, message) {
                    Ok(()) => {}
                    Err(TellError::Full) => return true,
                    Err(_) => refused += 1,
                }
                *bytes -= len_bytes(message);
                queue.pop_front();
            }
            false
        });
        refused
    }
}

/// What a message counts against the limit: no less than its ids and what it carries.
fn len_bytes<M>(message: &RegionMessage<M>) -> usize {
    let (envelope, enclosed) = message;
    let carried = enclosed.iter().map(|one| size_of::<Enclosed<M>>() + one.view().bytes().len());
    let ids = match envelope {
        Envelope::Deliver(delivery) => delivery.id.len(),
        Envelope::Starts { id, .. } | Envelope::Ended { id, .. } => id.len(),
        Envelope::Handover { word: Word::Forward { items, .. }, .. } => {
            let ids = items.iter().flat_map(|item| &item.id).map(Vec::len);
            size_of_val(&items[..]) + ids.sum::<usize>()
        }
        _ => 0,
    };
    size_of::<RegionMessage<M>>() + carried.sum::<usize>() + ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::envelope::Delivery;

    fn at(core: u16) -> Place {
        Place { incarnation: 1, core }
    }

    fn message(id: &[u8]) -> RegionMessage<u64> {
        let delivery = Delivery { from: at(0), epoch: 1, way: 0, id: id.to_vec() };
        (Envelope::Deliver(delivery), Vec::new())
    }

    fn id_of(message: &RegionMessage<u64>) -> u8 {
        match &message.0 {
            Envelope::Deliver(delivery) => delivery.id[0],
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_core_whose_way_is_full_holds_up_no_other_and_each_gets_its_own_in_order() {
        let mut unsent = Unsent::new(1 << 20);
        for (to, id) in [(2, 1), (1, 2), (2, 3), (1, 4), (1, 5)] {
            assert!(unsent.keep(at(to), message(&[id])), "{id}");
        }
        let mut sent = Vec::new();
        let refused = unsent.send(|to, message| {
            if to == at(1) && id_of(message) == 4 {
                return Err(TellError::Full);
            }
            sent.push((to.core, id_of(message)));
            Ok(())
        });
        assert_eq!((&sent[..], refused), (&[(1, 2), (2, 1), (2, 3)][..], 0));
        assert_eq!((unsent.has(at(1)), unsent.has(at(2))), (true, false));
        sent.clear();
        unsent.send(|to, message| {
            sent.push((to.core, id_of(message)));
            Ok(())
        });
        assert_eq!((&sent[..], unsent.bytes), (&[(1, 4), (1, 5)][..], 0));
        assert!(unsent.is_empty());
    }

    #[test]
    fn what_can_never_be_sent_is_counted_and_holds_up_nothing() {
        let mut unsent = Unsent::new(1 << 20);
        for id in 0..3 {
            assert!(unsent.keep(at(1), message(&[id])), "{id}");
        }
        let mut sent = Vec::new();
        let refused = unsent.send(|_, message| match id_of(message) {
            1 => Err(TellError::Oversized { limit_bytes: 8 }),
            id => {
                sent.push(id);
                Ok(())
            }
        });
        assert_eq!((&sent[..], refused, unsent.is_empty()), (&[0, 2][..], 1, true));
    }

    #[test]
    fn messages_beyond_the_limit_of_bytes_are_refused_but_one_alone_always_fits() {
        let large = message(&[7; 4_096]);
        let mut unsent = Unsent::new(4 * len_bytes(&message(&[0])));
        assert!(unsent.keep(at(1), large.clone()), "nothing else waits");
        assert!(!unsent.keep(at(2), message(&[0])), "for no core");
        assert_eq!(unsent.send(|_, _| Ok(())), 0);
        for id in 0..4 {
            assert!(unsent.keep(at(id % 2), message(&[id as u8])), "{id}");
        }
        assert!(!unsent.keep(at(0), message(&[4])) && !unsent.keep(at(0), large));
        unsent.send(|to, _| if to == at(0) { Ok(()) } else { Err(TellError::Full) });
        assert!(unsent.keep(at(0), message(&[5])), "there is room again");
    }

    #[test]
    fn the_bytes_of_a_forward_are_those_of_all_its_messages() {
        let item = || super::super::envelope::Item { origin: at(0), id: Some(vec![0; 100]) };
        let word = Word::Forward { shard: 0, epoch: 1, first: 0, items: vec![item(), item()] };
        let carried = Enclosed::of(&7_u64).expect("it is small");
        let message = (Envelope::Handover { from: at(0), word }, vec![carried.clone(), carried]);
        assert!(len_bytes(&message) >= 2 * (100 + size_of::<u64>()), "{}", len_bytes(&message));
    }
}
