//! In which order the contestants take their turns.
//!
//! A block is one round of each. Every second block goes through the contestants in reverse (A B B A), so that a
//! machine that becomes slower or faster all the time favours neither the first nor the last.

/// The contestants of a block in their order: 0, 1, 2.. in even blocks, the reverse in odd ones.
pub fn order(contestants: usize, block: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..contestants).collect();
    if block % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_block_goes_backwards() {
        let orders: Vec<Vec<usize>> = (0..4).map(|block| order(3, block)).collect();
        assert_eq!(orders, [[0, 1, 2], [2, 1, 0], [0, 1, 2], [2, 1, 0]]);
    }

    #[test]
    fn a_machine_that_slows_down_steadily_does_not_favour_anybody() {
        // Each round takes one unit more than the one before it.
        let mut clock = 0;
        let mut taken = [0u64; 4];
        for block in 0..10 {
            for contestant in order(4, block) {
                clock += 1;
                taken[contestant] += clock;
            }
        }
        assert_eq!(taken, [taken[0]; 4]);
    }
}
