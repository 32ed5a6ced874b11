//! The plan as a unit of systemd that applies at its start and undoes at its stop, and as a drop-in with the resource
//! limits of the service that runs shards.

use super::{left_over, shell};
use crate::plan::{LIMITS_FILE, Plan, Step};

pub(super) fn render(plan: &Plan, title: &str) -> String {
    let mut text = format!("# {title}\n{UNIT}");
    let is_file_of_limits = |step: &Step| {
        matches!(step, Step::OwnFile { .. })
            || LIMITS_FILE.starts_with(&format!("{}/", step.place()))
    };
    let actions = || plan.actions.iter().filter(|action| !is_file_of_limits(&action.step));
    for action in actions() {
        for line in shell::make(&action.step) {
            text.push_str(&format!("ExecStart=-{}\n", command(&line)));
        }
    }
    for action in actions().rev() {
        for line in shell::take_back(&action.step).iter().filter(|line| !line.starts_with('#')) {
            text.push_str(&format!("ExecStop=-{}\n", command(line)));
        }
    }
    text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
    if !plan.directives.is_empty() {
        text.push_str(LIMITS);
        for directive in &plan.directives {
            text.push_str(&format!("{directive}\n"));
        }
    }
    text + &left_over(plan)
}

const UNIT: &str = "\
# As /etc/systemd/system/mainspring-tune.service: `systemctl enable --now` applies it now and at each boot,\n\
# `systemctl disable --now` undoes it. The undo sets what was there when this was printed.\n\
# A command that fails does not keep the others from running: journalctl -u mainspring-tune tells of it.\n\
[Unit]\n\
Description=Kernel settings for mainspring\n\
After=sysinit.target network.target\n\
\n\
[Service]\n\
Type=oneshot\n\
RemainAfterExit=yes\n";

const LIMITS: &str = "\n\
# As /etc/systemd/system/SERVICE.service.d/90-mainspring.conf, for the service that runs shards:\n\
[Service]\n";

/// A line of a shell as one command of a unit, in which `%`, `$`, `"` and the backslash mean something of their own.
fn command(line: &str) -> String {
    let line = line.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("/bin/sh -c \"{line}\"")
}
