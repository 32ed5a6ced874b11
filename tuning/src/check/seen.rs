//! What a check saw, before it is known whose the setting is and what the process may do.

use crate::finding::Change;

/// What a check saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub found: String,
    pub evidence: Vec<String>,
    pub outcome: Outcome,
}

/// How it compares with what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Differs(Vec<Change>),
    NotApplicable(String),
    Unreadable(String),
}

impl Seen {
    /// As wanted.
    pub(crate) fn ok(found: impl Into<String>, evidence: &str) -> Seen {
        Seen::new(found, evidence, Outcome::Ok)
    }

    /// Not as wanted.
    pub(crate) fn differs(
        found: impl Into<String>,
        evidence: &str,
        changes: impl IntoIterator<Item = Change>,
    ) -> Seen {
        Seen::new(found, evidence, Outcome::Differs(changes.into_iter().collect()))
    }

    /// As wanted or not.
    pub(crate) fn either(
        is_ok: bool,
        found: impl Into<String>,
        evidence: &str,
        changes: impl IntoIterator<Item = Change>,
    ) -> Seen {
        if is_ok { Seen::ok(found, evidence) } else { Seen::differs(found, evidence, changes) }
    }

    /// The question does not arise.
    pub(crate) fn not_applicable(evidence: &str, why: impl Into<String>) -> Seen {
        Seen::new("", evidence, Outcome::NotApplicable(why.into()))
    }

    /// Nobody can tell.
    pub(crate) fn unreadable(evidence: &str, why: impl Into<String>) -> Seen {
        Seen::new("", evidence, Outcome::Unreadable(why.into()))
    }

    fn new(found: impl Into<String>, evidence: &str, outcome: Outcome) -> Seen {
        let evidence = if evidence.is_empty() { Vec::new() } else { vec![evidence.to_owned()] };
        Seen { found: found.into(), evidence, outcome }
    }

    /// The same, with nothing offered that would mend it.
    pub(crate) fn without_changes(mut self) -> Seen {
        if let Outcome::Differs(changes) = &mut self.outcome {
            changes.clear();
        }
        self
    }

    /// Read from here too.
    pub(crate) fn and_from(mut self, evidence: &str) -> Seen {
        self.evidence.push(evidence.to_owned());
        self
    }
}
