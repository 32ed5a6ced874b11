//! A plan as a text for others to apply: a script, or the settings of a service that applies them.
//!
//! Promises: pure functions of the plan, each with the way back. What a form cannot say stands in it as a comment,
//! never nowhere. Words from outside are quoted.

mod cmdline;
mod shell;
mod sysctl;
mod systemd;
mod tuned;

use crate::plan::Plan;

/// What a plan is printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "command", derive(clap::ValueEnum))]
pub enum Form {
    /// A script for `sh` that applies and undoes everything that can be done at once.
    Shell,
    /// A file of `/etc/sysctl.d`.
    Sysctl,
    /// A unit that applies at its start and undoes at its stop, and a drop-in with resource limits.
    Systemd,
    /// A profile of tuned.
    Tuned,
    /// Parameters for the kernel's command line.
    Cmdline,
}

/// Prints the plan; `title` says in a line whose plan it is.
pub fn render(plan: &Plan, form: Form, title: &str) -> String {
    match form {
        Form::Shell => shell::render(plan, title),
        Form::Sysctl => sysctl::render(plan, title),
        Form::Systemd => systemd::render(plan, title),
        Form::Tuned => tuned::render(plan, title),
        Form::Cmdline => cmdline::render(plan, title),
    }
}

/// What the form leaves to the next boot and to people, as comments.
fn left_over(plan: &Plan) -> String {
    let mut text = String::new();
    if !plan.boot.is_empty() {
        text.push_str("\n# At the next boot (reboot needed; see --as cmdline):\n");
        for item in &plan.boot {
            text.push_str(&format!("#   {}: {}\n", item.id, item.text()));
        }
    }
    text + &by_hand(plan)
}

/// What is left to people, as comments.
fn by_hand(plan: &Plan) -> String {
    let mut text = String::new();
    if !plan.by_hand.is_empty() {
        text.push_str("\n# Left to you:\n");
        for item in &plan.by_hand {
            text.push_str(&format!("#   {}: {}; {}\n", item.id, item.what, item.why));
        }
    }
    text
}

/// A word that `sh` takes as it is.
fn quoted(word: &str) -> String {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+,:=@%".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_of_the_shell_are_quoted() {
        assert_eq!(quoted("/sys/block/sda"), "/sys/block/sda");
        assert_eq!(quoted("4096 16384"), "'4096 16384'");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
