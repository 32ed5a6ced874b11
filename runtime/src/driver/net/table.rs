//! A bounded table of things that are named by a slot and a generation.
//!
//! Invariants: a slot's generation counts how often the slot was emptied, so no two things are named alike until it
//! has come round; a name of the past finds nothing.

pub(super) struct Table<T> {
    entries: Vec<Entry<T>>,
    vacant: Vec<u32>,
    limit: usize,
}

struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Table<T> {
    pub(super) fn new(limit: usize) -> Table<T> {
        Table { entries: Vec::new(), vacant: Vec::new(), limit: limit.min(u32::MAX as usize) }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.limit
    }

    /// Slot and generation of the new thing; nothing if the table is full.
    pub(super) fn insert(&mut self, value: T) -> Option<(u32, u32)> {
        if self.is_full() {
            return None;
        }
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.entries.push(Entry { generation: 0, value: None });
            (self.entries.len() - 1) as u32
        });
        let entry = &mut self.entries[slot as usize];
        entry.value = Some(value);
        Some((slot, entry.generation))
    }

    pub(super) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let entry = self.entries.get_mut(slot as usize)?;
        if entry.generation == generation { entry.value.as_mut() } else { None }
    }

    /// Whatever is in the slot now.
    #[inline]
    pub(super) fn at(&mut self, slot: u32) -> Option<&mut T> {
        self.entries.get_mut(slot as usize)?.value.as_mut()
    }

    pub(super) fn generation(&self, slot: u32) -> u32 {
        self.entries.get(slot as usize).map_or(0, |entry| entry.generation)
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let entry = self.entries.get_mut(slot as usize)?;
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.vacant.push(slot);
        Some(value)
    }

    /// The slots in use.
    pub(super) fn slots(&self) -> Vec<u32> {
        let used = self.entries.iter().enumerate().filter(|(_, entry)| entry.value.is_some());
        used.map(|(slot, _)| slot as u32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_name_of_the_past_finds_nothing() {
        let mut table = Table::new(1);
        let first = table.insert("a").expect("room");
        assert_eq!(table.insert("b"), None, "full");
        assert_eq!(table.remove(first.0), Some("a"));
        let second = table.insert("b").expect("room");
        assert_eq!(second.0, first.0, "the slot is used again");
        assert_eq!(table.get_mut(first.0, first.1), None);
        assert_eq!(table.get_mut(second.0, second.1), Some(&mut "b"));
        assert_eq!((table.len(), table.slots()), (1, vec![0]));
    }
}
