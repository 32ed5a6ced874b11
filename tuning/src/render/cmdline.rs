//! The part of the plan that takes a boot: parameters of the kernel's command line.

use super::by_hand;
use crate::plan::Plan;

pub(super) fn render(plan: &Plan, title: &str) -> String {
    let mut text = format!("# {title}\n");
    if plan.boot.is_empty() {
        text.push_str("# Nothing of it takes a boot.\n");
        return text + &by_hand(plan);
    }
    for item in &plan.boot {
        text.push_str(&format!("# {}: {}\n", item.id, item.effect));
    }
    let words: Vec<String> = plan.boot.iter().map(|item| item.text()).collect();
    let words = words.join(" ");
    text.push_str(&format!(
        "\n{words}\n\n\
         # Takes effect at the next boot. Where grubby is:\n\
         #   grubby --update-kernel=ALL --args='{words}'\n\
         # elsewhere append it to GRUB_CMDLINE_LINUX in /etc/default/grub and run update-grub.\n\
         # The way back: take the same words out again, and reboot:\n\
         #   grubby --update-kernel=ALL --remove-args='{words}'\n"
    ));
    text + &by_hand(plan)
}
