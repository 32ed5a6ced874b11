//! The part of the plan that `sysctl` can set, as a file of `/etc/sysctl.d`.

use super::left_over;
use crate::plan::{Plan, Step};

pub(super) fn render(plan: &Plan, title: &str) -> String {
    let mut text =
        format!("# {title}\n# As /etc/sysctl.d/90-mainspring.conf it is set at each boot.\n");
    let mut back = String::new();
    let mut others = Vec::new();
    for action in &plan.actions {
        let Some((key, value, restore)) = setting(&action.step) else {
            others.push(&action.id);
            continue;
        };
        text.push_str(&format!("# {}: {}\n{key} = {value}\n", action.id, action.effect));
        back.insert_str(0, &format!("#   sysctl -w '{key}={restore}'\n"));
    }
    if !back.is_empty() {
        text.push_str(&format!("\n# The way back: remove the file, then\n{back}"));
    }
    others.dedup();
    if !others.is_empty() {
        text.push_str("\n# Not for sysctl (see --as shell or --as systemd):\n");
        for id in others {
            text.push_str(&format!("#   {id}\n"));
        }
    }
    text + &left_over(plan)
}

/// The name of the setting, its value and the value it had.
pub(super) fn setting(step: &Step) -> Option<(String, &str, &str)> {
    let Step::Write { path, value, restore: Some(restore) } = step else { return None };
    let name = path.strip_prefix("/proc/sys/")?;
    // With a dot inside a part, as in the name of a VLAN, the parts are told apart by slashes.
    let key = if name.contains('.') { name.to_owned() } else { name.replace('/', ".") };
    Some((key, value, restore))
}
