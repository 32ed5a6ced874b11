//! The plan as a script: `sh SCRIPT apply`, and `sh SCRIPT undo` with the values of the time when it was printed.

use super::{left_over, quoted};
use crate::plan::{Action, Plan, Step};

pub(super) fn render(plan: &Plan, title: &str) -> String {
    let mut text = format!("#!/bin/sh\n# {title}\n{USE}\n");
    text.push_str("apply() {\n");
    let mut told = "";
    for action in &plan.actions {
        if action.id != told {
            text.push_str(&comment(action));
            told = &action.id;
        }
        text.push_str(&indented(&make(&action.step)));
    }
    text.push_str("    :\n}\n\nundo() {\n");
    for action in plan.actions.iter().rev() {
        text.push_str(&indented(&take_back(&action.step)));
    }
    text.push_str("    :\n}\n");
    text + &left_over(plan) + CHOOSE
}

const USE: &str = "#\n\
    # Use: sh THIS apply, sh THIS undo. The undo sets what was there when this was printed.\n\
    set -eu\n";

const CHOOSE: &str = "\ncase \"${1-}\" in\n    apply) apply ;;\n    undo) undo ;;\n    *)\n        \
    echo \"use: sh $0 apply|undo\" >&2\n        exit 2\n        ;;\nesac\n";

fn comment(action: &Action) -> String {
    format!("    # {}: {}\n", action.id, action.effect)
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("    {line}\n")).collect()
}

/// The lines of `sh` that make the step.
pub(super) fn make(step: &Step) -> Vec<String> {
    match step {
        Step::Write { path, value, .. } => vec![put(value, path)],
        Step::Controller { path, name } => {
            let (word, path) = (quoted(&format!("+{name}")), quoted(path));
            vec![format!("grep -qsw {} {path} || echo {word} > {path}", quoted(name))]
        }
        Step::Directory { path } => {
            vec![format!("[ -d {0} ] || mkdir {0}", quoted(path))]
        }
        Step::OwnFile { path, text } => {
            vec![format!("printf '%s' {} > {}", quoted(text), quoted(path))]
        }
        Step::Variable { path, name, value, unit, .. } => vec![
            format!("[ -e {0} ] || : > {0}", quoted(path)),
            format!("sed -i -e {} -e '$a\\' {}", quoted(&format!("/^{name}=/d")), quoted(path)),
            format!(
                "printf '%s\\n' {} >> {}",
                quoted(&format!("{name}=\"{value}\"")),
                quoted(path)
            ),
            format!("systemctl try-restart {}", quoted(unit)),
        ],
        Step::Ethtool { device, option, property, value, .. } => {
            vec![format!("ethtool {option} {} {property} {}", quoted(device), quoted(value))]
        }
    }
}

/// The lines of `sh` that take it back.
pub(super) fn take_back(step: &Step) -> Vec<String> {
    match step {
        Step::Write { path, restore: Some(restore), .. } => vec![put(restore, path)],
        Step::Write { restore: None, .. } => Vec::new(),
        // It may have been on before, or others may use it by now.
        Step::Controller { path, name } => vec![format!("# {name} stays on in {path}")],
        // A directory of settings may have been there before.
        Step::Directory { path } if step.outlives_boot() => {
            vec![format!("rmdir {} 2> /dev/null || :", quoted(path))]
        }
        Step::Directory { path } => vec![format!("rmdir {}", quoted(path))],
        Step::OwnFile { path, .. } => vec![format!("rm -f {}", quoted(path))],
        Step::Variable { path, name, restore, unit, .. } => {
            let mut lines =
                vec![format!("sed -i -e {} {}", quoted(&format!("/^{name}=/d")), quoted(path))];
            if let Some(restore) = restore {
                let line = quoted(&format!("{name}=\"{restore}\""));
                lines.push(format!("printf '%s\\n' {line} >> {}", quoted(path)));
            }
            lines.push(format!("systemctl try-restart {}", quoted(unit)));
            lines
        }
        Step::Ethtool { device, option, property, restore, .. } => {
            vec![format!("ethtool {option} {} {property} {}", quoted(device), quoted(restore))]
        }
    }
}

fn put(value: &str, path: &str) -> String {
    format!("echo {} > {}", quoted(value), quoted(path))
}
