//! Documents as tables for a terminal: columns as wide as their widest cell, in the order of the document.
//!
//! What other nodes say about themselves cannot move the cursor: control characters are shown as dots.

use std::fmt;

use crate::status::documents::{
    MembersDocument, NodeDocument, OwnerDocument, ShardsDocument, TypesDocument,
};

/// Rows of cells, the first of them the heading if it has one.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn with(heading: &[&str]) -> Table {
        let mut table = Table::default();
        table.row(heading.iter().map(|cell| (*cell).to_owned()));
        table
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let plain = |cell: String| cell.replace(char::is_control, ".");
        self.rows.push(cells.into_iter().map(plain).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

pub(super) fn node(node: &NodeDocument) -> Table {
    let mut table = Table::default();
    let mut line = |name: &str, value: String| table.row([name.to_owned(), value]);
    if let Some(name) = &node.name {
        line("node", name.clone());
    }
    if let Some(cores) = node.cores {
        line("cores", cores.to_string());
    }
    if let Some(member) = &node.member {
        line("address", member.address.clone());
        line("incarnation", member.incarnation.clone());
        line("status", member.status.clone());
        line("roles", member.roles.join(", "));
        line("version", member.app_version.clone());
    }
    let ready = match &node.not_ready_because {
        None => "yes".to_owned(),
        Some(why) => format!("no: {why}"),
    };
    line("ready", ready);
    line("members", node.members.to_string());
    line("unreachable", node.unreachable_members.to_string());
    let leader = node.leader.as_ref().map(|leader| leader.address.clone());
    line("leader", leader.unwrap_or_else(|| "nobody".to_owned()));
    table
}

pub(super) fn members(document: &MembersDocument) -> Table {
    let heading = ["ADDRESS", "INCARNATION", "STATUS", "REACHED", "ROLES", "VERSION", "AGE", ""];
    let mut table = Table::with(&heading);
    for member in &document.members {
        let notes = [(member.is_this_node, "asked"), (member.is_leader, "leader")];
        let notes: Vec<&str> =
            notes.iter().filter(|(holds, _)| *holds).map(|(_, note)| *note).collect();
        table.row([
            member.address.clone(),
            member.incarnation.clone(),
            member.status.clone(),
            if member.is_reachable { "yes" } else { "no" }.to_owned(),
            or_dash(member.roles.join(",")),
            or_dash(member.app_version.clone()),
            or_dash(member.up_number.map(|number| number.to_string()).unwrap_or_default()),
            notes.join(", "),
        ]);
    }
    table
}

pub(super) fn types(document: &TypesDocument) -> Table {
    let mut table = Table::with(&["TYPE", "SHARDS", "PLACE", "ADDRESS"]);
    for view in &document.types {
        table.row([view.name.clone(), view.shards.to_string(), "all".to_owned()]);
        if view.unowned > 0 {
            let unowned = view.unowned.to_string();
            table.row([view.name.clone(), unowned, "-".to_owned(), "no owner known".to_owned()]);
        }
        for place in &view.places {
            let address = address(place.address.as_deref());
            let (shards, text) =
                (place.shards.to_string(), format!("{}/{}", place.incarnation, place.core));
            table.row([view.name.clone(), shards, text, address]);
        }
    }
    table
}

pub(super) fn shards(document: &ShardsDocument) -> Table {
    let mut table = Table::with(&["SHARD", "PLACE", "EPOCH", "ADDRESS"]);
    for row in &document.shards {
        let shard = row.shard.to_string();
        match &row.owner {
            None => table.row([shard, "-".to_owned(), "-".to_owned(), "no owner known".to_owned()]),
            Some(OwnerDocument { address: at, incarnation, core, epoch }) => {
                let at = address(at.as_deref());
                table.row([shard, format!("{incarnation}/{core}"), epoch.to_string(), at]);
            }
        }
    }
    table
}

fn address(address: Option<&str>) -> String {
    address.unwrap_or("no member any more").to_owned()
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}
