//! `savina-chameneos`: creatures that meet at a mall and change colour.

use std::ops::ControlFlow;
use std::sync::Arc;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{CHAMENEOS_CREATURES, CHAMENEOS_MEETINGS};

use super::mailbox::{Address, Inbox, handle_each, mailbox, tell};
use super::stage;

/// A colour, 0 to 2.
type Colour = u64;

/// A creature by its place in the table of all.
#[derive(Clone, Copy)]
struct Request {
    creature: usize,
    colour: Colour,
}

enum ToMall {
    Meet(Request),
    Left { meetings: u64 },
}

enum ToCreature {
    /// Somebody else's request: the one who gets it changes both colours.
    Partner(Request),
    /// The colour after a meeting.
    Changed(Colour),
    Leave,
}

type Creatures = Arc<[Address<ToCreature>]>;

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (addresses, inboxes): (Vec<_>, Vec<_>) =
            (0..CHAMENEOS_CREATURES).map(|_| mailbox()).unzip();
        let (mall, inbox_of_mall) = mailbox();
        let creatures: Creatures = addresses.into();
        for (creature, inbox) in inboxes.into_iter().enumerate() {
            let own = Request { creature, colour: creature as u64 % 3 };
            tokio::spawn(live(own, inbox, creatures.clone(), mall.clone()));
        }
        tokio::spawn(run_mall(inbox_of_mall, creatures)).await.unwrap_or(0)
    })
}

/// Comes to the meetings that the creatures have had.
async fn run_mall(inbox: Inbox<ToMall>, creatures: Creatures) -> u64 {
    let mut waiting: Option<Request> = None;
    let mut meetings_left = CHAMENEOS_MEETINGS;
    let mut creatures_left = 0;
    let mut sum = 0;
    handle_each(inbox, |message| {
        match message {
            ToMall::Meet(request) if meetings_left == 0 => {
                tell(&creatures[request.creature], ToCreature::Leave);
            }
            ToMall::Meet(request) => match waiting.take() {
                None => waiting = Some(request),
                Some(first) => {
                    meetings_left -= 1;
                    tell(&creatures[first.creature], ToCreature::Partner(request));
                }
            },
            ToMall::Left { meetings } => {
                sum += meetings;
                creatures_left += 1;
                if creatures_left == CHAMENEOS_CREATURES {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    })
    .await;
    sum
}

async fn live(
    mut own: Request,
    inbox: Inbox<ToCreature>,
    creatures: Creatures,
    mall: Address<ToMall>,
) {
    let mut meetings = 0;
    tell(&mall, ToMall::Meet(own));
    handle_each(inbox, |message| {
        match message {
            ToCreature::Partner(partner) => {
                own.colour = complement(own.colour, partner.colour);
                tell(&creatures[partner.creature], ToCreature::Changed(own.colour));
            }
            ToCreature::Changed(colour) => own.colour = colour,
            ToCreature::Leave => {
                tell(&mall, ToMall::Left { meetings });
                return ControlFlow::Break(());
            }
        }
        meetings += 1;
        tell(&mall, ToMall::Meet(own));
        ControlFlow::Continue(())
    })
    .await;
}

/// Two of the same colour keep it, two of different colours take the third.
fn complement(one: Colour, other: Colour) -> Colour {
    if one == other { one } else { 3 - one - other }
}
