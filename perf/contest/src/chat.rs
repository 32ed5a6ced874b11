//! What the clients of `savina-chat` decide, the same in every contestant.

use std::hint::black_box;

use crate::random::Random;

/// What a client does in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Works for itself: [`compute`].
    Compute,
    /// Writes to one of its chats, which sends it on to every member.
    Post,
    /// Leaves one of its chats.
    Leave,
    /// Makes a chat and invites some of its friends.
    Invite,
    /// Nothing.
    Rest,
}

/// Of 100 clients of a directory, so many are friends of one of them.
pub const BEFRIEND_PERCENT: u64 = 10;

const COMPUTE_PERCENT: u64 = 50;
const POST_PERCENT: u64 = 80;
const LEAVE_PERCENT: u64 = 25;
const INVITE_PERCENT: u64 = 25;
const COMPUTE_STEPS: u64 = 1_000;

/// The generator of one client.
pub fn random_of_client(client: u64) -> Random {
    Random::seeded(client.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5EED)
}

/// What the client does next.
pub fn next_act(random: &mut Random) -> Act {
    if random.chance(COMPUTE_PERCENT) {
        Act::Compute
    } else if random.chance(POST_PERCENT) {
        Act::Post
    } else if random.chance(LEAVE_PERCENT) {
        Act::Leave
    } else if random.chance(INVITE_PERCENT) {
        Act::Invite
    } else {
        Act::Rest
    }
}

/// The work of [`Act::Compute`]: a chain of dependent steps.
pub fn compute(client: u64) -> u64 {
    let mut value = black_box(client | 1);
    for _ in 0..COMPUTE_STEPS {
        value = value.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
    }
    black_box(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_acts_are_computing_and_most_others_are_posts() {
        let mut random = random_of_client(7);
        let mut counts = [0u64; 5];
        (0..100_000).for_each(|_| counts[next_act(&mut random) as usize] += 1);
        for (act, share) in [(Act::Compute, 0.5), (Act::Post, 0.4), (Act::Leave, 0.025)] {
            let found = counts[act as usize] as f64 / 100_000.0;
            assert!((found - share).abs() < 0.01, "{act:?}: {found}");
        }
    }
}
