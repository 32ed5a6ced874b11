//! What a request asks for, by its path and method.

use super::refusal::Refusal;
use super::request::{Method, Request};
use crate::ownership::Place;

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Page,
    Node,
    Members,
    Types,
    Shards { entity_type: String },
    Ready,
    Alive,
    Action(Action),
}

/// What is only done for who sends the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Leave { incarnation: u64 },
    Down { incarnation: u64 },
    Move { entity_type: String, shard: u32, to: Place },
    Rebalance { entity_type: Option<String> },
}

/// Where a request leads. The token of an action has to be looked at before what it says: `may_act` is asked as soon as
/// the path is known to be that of an action.
pub(super) fn route(
    request: &Request,
    may_act: impl FnOnce() -> Result<(), Refusal>,
) -> Result<Route, Refusal> {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    let shown = match segments[..] {
        [] => Some(Route::Page),
        ["node"] => Some(Route::Node),
        ["members"] => Some(Route::Members),
        ["shards"] => Some(Route::Types),
        ["shards", name] => Some(Route::Shards { entity_type: name.to_owned() }),
        ["health", "ready"] => Some(Route::Ready),
        ["health", "alive"] => Some(Route::Alive),
        _ => None,
    };
    if let Some(route) = shown {
        return match request.method {
            Method::Get | Method::Head => Ok(route),
            _ => Err(Refusal::WrongMethod { allowed: "GET, HEAD" }),
        };
    }
    let is_action = matches!(
        segments[..],
        ["members", _, "leave" | "down"]
            | ["shards", _, _, "move"]
            | ["shards", _, "rebalance"]
            | ["rebalance"]
    );
    if !is_action {
        let mut path = format!("/{}", segments.join("/"));
        path.truncate(path.floor_char_boundary(SHOWN_LIMIT_BYTES));
        return Err(Refusal::UnknownPath { path });
    }
    if request.method != Method::Post {
        return Err(Refusal::WrongMethod { allowed: "POST" });
    }
    may_act()?;
    action(&segments, request).map(Route::Action)
}

/// How much of an unknown path is said back.
const SHOWN_LIMIT_BYTES: usize = 200;

fn action(segments: &[&str], request: &Request) -> Result<Action, Refusal> {
    match *segments {
        ["members", who, what] => {
            let no_incarnation = || Refusal::NoIncarnation { text: who.to_owned() };
            let incarnation = who.parse().map_err(|_| no_incarnation())?;
            Ok(match what {
                "leave" => Action::Leave { incarnation },
                _ => Action::Down { incarnation },
            })
        }
        ["shards", entity_type, shard, "move"] => {
            let no_shard = || Refusal::NoShard { text: shard.to_owned() };
            let shard = shard.parse().map_err(|_| no_shard())?;
            let to = request.query.iter().find(|(name, _)| name == "to");
            let to = to.map_or("", |(_, to)| to);
            let to = place_of(to).ok_or_else(|| Refusal::NoPlace { text: to.to_owned() })?;
            Ok(Action::Move { entity_type: entity_type.to_owned(), shard, to })
        }
        ["shards", entity_type, _] => {
            Ok(Action::Rebalance { entity_type: Some(entity_type.to_owned()) })
        }
        _ => Ok(Action::Rebalance { entity_type: None }),
    }
}

/// A place as people write it: `INCARNATION/CORE`, in decimal digits.
pub(crate) fn place_of(text: &str) -> Option<Place> {
    let (incarnation, core) = text.split_once('/')?;
    Some(Place { incarnation: incarnation.parse().ok()?, core: core.parse().ok()? })
}
