//! The revision of the sources that this program was built from, as far as git can still tell.

use std::process::{Command, Stdio};

/// What git says about the folder of the sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repository {
    /// The full hash of the commit; none where git or the folder is gone.
    pub commit: Option<String>,
    /// Whether files that git knows differ from that commit.
    pub is_changed: Option<bool>,
}

impl Repository {
    /// Asks git. The sources may have changed since this program was built; nothing can tell.
    pub fn of_this_program() -> Repository {
        let commit = git(&["rev-parse", "--verify", "HEAD"]);
        let is_changed = git(&["status", "--porcelain", "--untracked-files=no"])
            .map(|changes| !changes.is_empty());
        Repository { commit, is_changed }
    }

    /// For the name of a folder: the first digits of the hash, and whether something was changed.
    pub fn short_name(&self) -> String {
        let Some(commit) = &self.commit else { return "unknown".to_owned() };
        let changed = if self.is_changed == Some(true) { "-changed" } else { "" };
        format!("{}{changed}", commit.get(..SHORT).unwrap_or(commit))
    }
}

const SHORT: usize = 10;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR")])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_named_by_its_first_digits_and_whether_it_was_changed() {
        let commit = Some("0123456789abcdef".to_owned());
        let name = |is_changed| Repository { commit: commit.clone(), is_changed }.short_name();
        assert_eq!(name(Some(false)), "0123456789");
        assert_eq!(name(Some(true)), "0123456789-changed");
        assert_eq!(name(None), "0123456789");
        assert_eq!(Repository::default().short_name(), "unknown");
    }
}
