//! One entity is found with two reads for each segment that holds something of it.

use super::super::{Entity, KnownSegment, Search, SearchStep};
use super::*;

/// Runs a search over footers as files; how many reads it took.
pub fn run(mut search: Search, footers: &BTreeMap<u64, Footer>) -> (Vec<(u64, Posting)>, usize) {
    let summaries: BTreeMap<u64, _> =
        footers.iter().map(|(id, footer)| (*id, footer.summary())).collect();
    let mut reads = 0;
    loop {
        let known = |id| summaries.get(&id).map_or(KnownSegment::Absent, KnownSegment::Sealed);
        match search.step(known) {
            SearchStep::Done => return (search.into_records().collect(), reads),
            SearchStep::Rebuild { segment_id } => panic!("segment {segment_id} has a footer"),
            SearchStep::Read { segment_id, place } => {
                reads += 1;
                let bytes = footers[&segment_id].encode();
                let part = &bytes[place.start as usize..place.end as usize];
                search.take(&summaries[&segment_id], part).expect("whole");
            }
        }
    }
}

fn by_segment(footers: Vec<Footer>) -> BTreeMap<u64, Footer> {
    footers.into_iter().map(|footer| (footer.header().segment_id, footer)).collect()
}

/// What all footers from a segment on have of an entity.
fn expected(footers: &BTreeMap<u64, Footer>, entity: u64, from: u64) -> Vec<(u64, Posting)> {
    let of_segment = |(id, footer): (&u64, &Footer)| {
        let row = footer.find(entity);
        let postings = row.map_or(Vec::new(), |row| footer.postings_of(row).to_vec());
        postings.into_iter().map(|posting| (*id, posting)).collect::<Vec<_>>()
    };
    footers.range(from..).flat_map(of_segment).collect()
}

#[test]
fn a_search_reads_twice_for_each_segment_with_records_and_nothing_of_the_others() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (footers, (table, _)) = log_of(&mut random, 12, 40, 60);
        let footers = by_segment(footers);
        for entity in table.iter_sorted() {
            let (found, reads) = run(Search::for_everything(entity), &footers);
            let all = expected(&footers, entity.hash, 1);
            assert_eq!(found, all, "seed {seed}");
            let segments: BTreeSet<u64> = all.iter().map(|(id, _)| *id).collect();
            assert_eq!(reads, 2 * segments.len(), "seed {seed}");
            let (recent, _) = run(Search::since_latest_state(entity), &footers);
            let from = entity.history_segment.max(1);
            assert_eq!(recent, expected(&footers, entity.hash, from), "seed {seed}");
        }
    }
}

#[test]
fn a_search_looks_into_the_open_segment_and_asks_for_footers_that_are_gone() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut tables = Default::default();
    let entity = EntityEntry::hash_of(&name(0));
    let mut segments: Vec<Vec<Placed>> = (0..4).map(|_| records(&mut random, 30, 3)).collect();
    let open = segments.pop().expect("four");
    let footers: BTreeMap<u64, Footer> =
        (1..).zip(&segments).map(|(id, placed)| (id, footer_of(id, placed, &mut tables))).collect();
    let index = index_of(4, &open, &mut tables);
    let summaries: BTreeMap<u64, _> =
        footers.iter().map(|(id, footer)| (*id, footer.summary())).collect();
    let mut is_rebuilt = false;
    let mut search = Search::for_everything(tables.0.get(entity).expect("it has records"));
    loop {
        let step = search.step(|id| match summaries.get(&id) {
            _ if id == 4 => KnownSegment::Open(&index),
            Some(_) if id == 2 && !is_rebuilt => KnownSegment::Unindexed,
            Some(summary) => KnownSegment::Sealed(summary),
            None => KnownSegment::Absent,
        });
        match step {
            SearchStep::Done => break,
            SearchStep::Rebuild { segment_id } => {
                assert!((segment_id, is_rebuilt) == (2, false));
                is_rebuilt = true;
            }
            SearchStep::Read { segment_id, place } => {
                let mut bytes = footers[&segment_id].encode();
                let part = &mut bytes[place.start as usize..place.end as usize];
                part[7] ^= 1;
                search.take(&summaries[&segment_id], part).expect_err("damaged");
                part[7] ^= 1;
                // A failed read of postings begins again with the block of entities.
                let step = search.step(|id| KnownSegment::Sealed(&summaries[&id]));
                let SearchStep::Read { place, .. } = step else { panic!("{step:?}") };
                let bytes = footers[&segment_id].encode();
                let part = &bytes[place.start as usize..place.end as usize];
                search.take(&summaries[&segment_id], part).expect("whole");
                if let SearchStep::Read { segment_id: same, place } =
                    search.step(|id| match summaries.get(&id) {
                        Some(summary) if id == segment_id => KnownSegment::Sealed(summary),
                        _ => KnownSegment::Absent,
                    })
                {
                    assert_eq!(same, segment_id);
                    let part = &bytes[place.start as usize..place.end as usize];
                    search.take(&summaries[&segment_id], part).expect("whole");
                }
            }
        }
    }
    assert!(is_rebuilt);
    let mut all = expected(&footers, entity, 1);
    all.extend(index.records_of(entity).map(|posting| (4, posting)));
    assert_eq!(search.into_records().collect::<Vec<_>>(), all);
}

#[test]
fn a_footer_that_names_no_segment_before_is_followed_back_one_by_one() {
    let mut random = fastrand::Rng::with_seed(2);
    let (footers, (table, _)) = log_of(&mut random, 6, 4, 12);
    let mut footers = by_segment(footers);
    // As a footer is that was made again: its table knows of records in a later segment already.
    for (id, footer) in &mut footers {
        let mut late = (table.clone(), ShardTable::default());
        let placed: Vec<Placed> = placed_of(footer);
        *footer = footer_of(*id, &placed, &mut late);
    }
    for entity in table.iter_sorted() {
        let (found, _) = run(Search::for_everything(entity), &footers);
        assert_eq!(found, expected(&footers, entity.hash, 1));
    }
}

/// The records of a footer, as far as it knows them.
fn placed_of(footer: &Footer) -> Vec<Placed> {
    let of_row = |row: &super::super::EntityRow| {
        let (entity, shard) = (row.entity, row.shard);
        let placed = footer.postings_of(row).iter().map(move |posting| Placed {
            header: RecordHeader {
                kind: posting.kind,
                schema: 0,
                shard,
                entity,
                entity_sequence: posting.entity_sequence,
                shard_sequence: 1,
                epoch: 1,
            },
            place: posting.place(),
        });
        placed.collect::<Vec<_>>()
    };
    let mut placed: Vec<Placed> = footer.entities().iter().flat_map(of_row).collect();
    placed.sort_by_key(|placed| placed.place.offset);
    placed
}

#[test]
fn an_entity_without_records_is_over_at_once() {
    let mut search = Search::since_latest_state(&Entity::default());
    assert_eq!(search.step(|_| KnownSegment::Unindexed), SearchStep::Done);
}
