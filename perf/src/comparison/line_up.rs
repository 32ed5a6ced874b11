//! Who takes part in a comparison: mainspring, the raw limit of the scenario, and the peers that have the program.
//!
//! A peer that was named on the command line must be there, or nothing is compared. When no peer was named, all that
//! have the program take part, and one whose needs are not met, or that cannot be built, is left out with its reason.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use mainspring_perf_contest::{Program, program};
use serde::Serialize;

use super::child::ChildError;
use super::contestant::{Contestant, Kind};
use super::peer::{Peer, PeerError};
use crate::scenario::{self, Scenario};

/// The scenario whose rounds show what the harness itself takes.
pub const EMPTY: &str = "empty";
/// On the command line: no peers at all.
pub const NO_PEERS: &str = "none";

/// Which peers take part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Chosen {
    /// All that have the program and whose needs are met.
    #[default]
    All,
    /// These and no others; none when the list is empty.
    Named(Vec<String>),
}

impl FromStr for Chosen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == NO_PEERS {
            return Ok(Chosen::Named(Vec::new()));
        }
        let mut names: Vec<String> = Vec::new();
        for name in text.split(',').map(str::trim) {
            if name.is_empty() || names.iter().any(|other| other == name) {
                return Err(format!("\"{text}\" is no list of peers; write tokio,actix or none"));
            }
            names.push(name.to_owned());
        }
        Ok(Chosen::Named(names))
    }
}

/// Who takes part. mainspring is the first, the empty scenario the last.
#[derive(Clone, Debug)]
pub struct LineUp {
    /// The contestants in their order.
    pub contestants: Vec<Contestant>,
    /// Peers that have the program and do not take part.
    pub left_out: Vec<LeftOut>,
    /// What one message of the figures is.
    pub unit: &'static str,
}

/// A peer that does not take part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The peer.
    pub name: String,
    /// Why, and what would help.
    pub reason: String,
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum LineUpError {
    /// Nobody but mainspring does this scenario's work.
    #[error(
        "\"{scenario}\" is no program that peers have; leave --peers out, or choose among: {programs}"
    )]
    NoProgram {
        /// The scenario.
        scenario: String,
        /// The programs that peers may have.
        programs: String,
    },
    /// No peer has this name.
    #[error("there is no peer \"{name}\" in {}; there are: {known}", folder.display())]
    UnknownPeer {
        /// What was asked for.
        name: String,
        /// Where peers were looked for.
        folder: PathBuf,
        /// Those that there are.
        known: String,
    },
    /// The peer has not got the program.
    #[error("the peer \"{peer}\" does not have \"{scenario}\"; it has: {programs}")]
    PeerLacksProgram {
        /// The peer.
        peer: String,
        /// The scenario.
        scenario: String,
        /// What it has.
        programs: String,
    },
    /// Something that a named peer needs is not there.
    #[error("the peer \"{peer}\" needs something that is not installed here: {remedy}")]
    NeedNotMet {
        /// The peer.
        peer: String,
        /// What to do.
        remedy: String,
    },
    /// A peer that was named cannot be built.
    #[error("the peer \"{peer}\" cannot be built: {source}; leave it out, or make it build")]
    NotBuilt {
        /// The peer.
        peer: String,
        /// What its build command came to.
        source: ChildError,
    },
    /// The number of CPUs does not fit the scenario.
    #[error(
        "{given} CPUs given, \"{scenario}\" needs {needed} and makes use of at most {most}; change --cores"
    )]
    Cpus {
        /// The scenario.
        scenario: String,
        /// How many were given.
        given: usize,
        /// How many it needs.
        needed: usize,
        /// How many it uses.
        most: usize,
    },
    /// The peers' descriptions cannot be used.
    #[error(transparent)]
    Peers(#[from] PeerError),
}

/// The CPUs of the comparison: those that were asked for, which must fit the scenario, or else as many of the allowed
/// ones as it needs.
pub fn cpus_of(
    scenario: &dyn Scenario,
    asked: Option<&[usize]>,
    allowed: &[usize],
) -> Result<Vec<usize>, LineUpError> {
    let description = scenario.description();
    let (needed, most) = (description.cpus_needed, scenario.cpus_most());
    let cpus = asked.unwrap_or(&allowed[..needed.min(allowed.len())]);
    if (needed..=most).contains(&cpus.len()) {
        return Ok(cpus.to_vec());
    }
    Err(LineUpError::Cpus {
        scenario: description.name.to_owned(),
        given: cpus.len(),
        needed,
        most,
    })
}

/// Lines up for a scenario: `harness` is this program, `folder` that of the peers, which are built here. `note` is
/// told of every peer that is built.
pub fn line_up(
    scenario: &dyn Scenario,
    chosen: &Chosen,
    harness: &Path,
    folder: &Path,
    note: &mut dyn FnMut(&str),
) -> Result<LineUp, LineUpError> {
    let description = scenario.description();
    let program = program::find(description.name);
    let own = |name, kind, scenario| Contestant::of_harness(name, kind, harness, scenario);
    let mut contestants = vec![own("mainspring", Kind::Mainspring, description.name)];
    if let Some(limit) = description.limit.and_then(scenario::find) {
        let limit = limit.description();
        contestants
            .push(own(limit.name, Kind::Limit, limit.name).measuring(limit.measures.to_owned()));
    }
    let (peers, left_out) = match program {
        Some(program) => peers_for(program, chosen, folder, note)?,
        None => match chosen {
            Chosen::Named(names) if !names.is_empty() => {
                let scenario = description.name.to_owned();
                return Err(LineUpError::NoProgram { scenario, programs: all_programs() });
            }
            _ => Default::default(),
        },
    };
    contestants.extend(peers);
    contestants.push(own(EMPTY, Kind::Empty, EMPTY));
    let unit = program.map_or("message", |program| program.unit);
    Ok(LineUp { contestants, left_out, unit })
}

fn peers_for(
    program: &'static Program,
    chosen: &Chosen,
    folder: &Path,
    note: &mut dyn FnMut(&str),
) -> Result<(Vec<Contestant>, Vec<LeftOut>), LineUpError> {
    let peers = match chosen {
        Chosen::Named(names) if names.is_empty() => Vec::new(),
        Chosen::Named(names) => named(names, program, Peer::all_in(folder)?, folder)?,
        Chosen::All => {
            Peer::all_in(folder)?.into_iter().filter(|peer| peer.has(program.name)).collect()
        }
    };
    let (mut contestants, mut left_out) = (Vec::new(), Vec::new());
    for peer in peers {
        match (made_ready(&peer, note), chosen) {
            (Ok(()), _) => contestants.push(Contestant::of_peer(&peer, program)),
            (Err(error), Chosen::Named(_)) => return Err(error),
            (Err(error), Chosen::All) => {
                left_out.push(LeftOut { name: peer.name, reason: error.to_string() });
            }
        }
    }
    Ok((contestants, left_out))
}

fn named(
    names: &[String],
    program: &Program,
    peers: Vec<Peer>,
    folder: &Path,
) -> Result<Vec<Peer>, LineUpError> {
    let find = |name: &String| {
        let Some(peer) = peers.iter().find(|peer| peer.name == *name) else {
            let known: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
            return Err(LineUpError::UnknownPeer {
                name: name.clone(),
                folder: folder.to_owned(),
                known: known.join(", "),
            });
        };
        if !peer.has(program.name) {
            return Err(LineUpError::PeerLacksProgram {
                peer: name.clone(),
                scenario: program.name.to_owned(),
                programs: peer.programs.join(", "),
            });
        }
        Ok(peer.clone())
    };
    names.iter().map(find).collect()
}

fn made_ready(peer: &Peer, note: &mut dyn FnMut(&str)) -> Result<(), LineUpError> {
    if let Some(remedy) = peer.missing_need() {
        let remedy = remedy.to_owned();
        return Err(LineUpError::NeedNotMet { peer: peer.name.clone(), remedy });
    }
    note(&format!("building peer {}", peer.name));
    peer.build().map_err(|source| LineUpError::NotBuilt { peer: peer.name.clone(), source })
}

fn all_programs() -> String {
    let names: Vec<&str> = program::ALL.iter().map(|program| program.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> &'static dyn Scenario {
        scenario::find(name).expect("registered")
    }

    #[test]
    fn a_scenario_gets_as_many_cpus_as_it_needs_and_refuses_more() {
        let (one, two) = (found("ping-pong-same-core"), found("ping-pong-cross-core"));
        assert_eq!(cpus_of(one, None, &[3, 4, 5]).expect("fits"), [3]);
        assert_eq!(cpus_of(two, None, &[3, 4, 5]).expect("fits"), [3, 4]);
        assert_eq!(cpus_of(two, Some(&[3, 5]), &[3, 4, 5]).expect("fits"), [3, 5]);
        assert_eq!(cpus_of(found("savina-count"), None, &[3, 4]).expect("fits"), [3]);
        assert_eq!(cpus_of(found("savina-count"), Some(&[3, 4]), &[3, 4]).expect("fits"), [3, 4]);
        for (scenario, asked) in [(one, vec![3, 4]), (two, vec![3]), (two, vec![3, 4, 5])] {
            let refused = cpus_of(scenario, Some(&asked), &[3, 4, 5]);
            assert!(matches!(refused, Err(LineUpError::Cpus { .. })), "{refused:?}");
        }
        let missing = cpus_of(two, None, &[3]);
        assert!(matches!(missing, Err(LineUpError::Cpus { given: 1, needed: 2, .. })));
    }

    #[test]
    fn peers_are_named_once_each_or_not_at_all() {
        assert_eq!("none".parse(), Ok(Chosen::Named(Vec::new())));
        assert_eq!("b, a".parse(), Ok(Chosen::Named(vec!["b".into(), "a".into()])));
        for wrong in ["", "a,,b", "a,a"] {
            assert!(wrong.parse::<Chosen>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_scenario_that_is_no_program_stands_beside_its_limit_alone() {
        let scenario = scenario::find("ping-pong-cross-core").expect("registered");
        let nowhere = Path::new("no-such-folder");
        let found = line_up(scenario, &Chosen::All, nowhere, nowhere, &mut |_| {}).expect("fits");
        let names: Vec<&str> =
            found.contestants.iter().map(|contestant| contestant.name.as_str()).collect();
        assert_eq!(names, ["mainspring", "raw-two-atomics", "empty"]);
        let named = Chosen::Named(vec!["tokio".to_owned()]);
        let refused = line_up(scenario, &named, nowhere, nowhere, &mut |_| {});
        assert!(matches!(refused, Err(LineUpError::NoProgram { .. })), "{refused:?}");
    }
}
