//! The plan as a profile of tuned, which saves and restores what it sets by itself. What tuned has no plugin for is in
//! the profile's script.

use super::{by_hand, shell, sysctl};
use crate::plan::{Plan, Step};

pub(super) fn render(plan: &Plan, title: &str) -> String {
    let (mut sysctls, mut sysfs) = (String::new(), String::new());
    let (mut start, mut stop) = (String::new(), String::new());
    for action in &plan.actions {
        if let Some((key, value, _)) = sysctl::setting(&action.step) {
            sysctls.push_str(&format!("{key}={value}\n"));
            continue;
        }
        match &action.step {
            Step::Write { path, value, restore: Some(_) } if path.starts_with("/sys/") => {
                sysfs.push_str(&format!("{path}={value}\n"));
            }
            step => {
                let lines = |lines: Vec<String>| -> String {
                    lines.iter().map(|line| format!("    {line}\n")).collect()
                };
                start.push_str(&lines(shell::make(step)));
                stop.insert_str(0, &lines(shell::take_back(step)));
            }
        }
    }
    let mut text = format!(
        "# {title}\n# As /etc/tuned/mainspring/tuned.conf; `tuned-adm profile mainspring`, and back "
    );
    text.push_str("by `tuned-adm off`.\n[main]\nsummary=Kernel settings for mainspring\n");
    for (name, lines) in [("sysctl", sysctls), ("sysfs", sysfs)] {
        if !lines.is_empty() {
            text.push_str(&format!("\n[{name}]\n{lines}"));
        }
    }
    if !plan.boot.is_empty() {
        let words: Vec<String> = plan.boot.iter().map(|item| item.text()).collect();
        text.push_str("\n# At the next boot (reboot needed):\n[bootloader]\n");
        text.push_str(&format!("cmdline_mainspring=+{}\n", words.join(" ")));
    }
    if !start.is_empty() {
        text.push_str("\n[script]\nscript=${i:PROFILE_DIR}/script.sh\n");
        text.push_str(
            "\n# As /etc/tuned/mainspring/script.sh, executable:\n#!/bin/sh\nset -eu\n\n",
        );
        text.push_str(&format!("start() {{\n{start}    :\n}}\n\nstop() {{\n{stop}    :\n}}\n\n"));
        text.push_str("case \"${1-}\" in\n    start) start ;;\n    stop) stop ;;\nesac\n");
    }
    text + &by_hand(plan)
}
