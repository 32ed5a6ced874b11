//! The page for people: one document without scripts, that loads itself again.
//!
//! What other nodes say about themselves is text, never markup.

use std::fmt::Write;

use super::documents::{MembersDocument, NodeDocument, TypesDocument};

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"refresh\" content=\"5\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>mainspring cluster</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color-scheme: light dark; }
body { margin: 2em auto; max-width: 70em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; margin-bottom: 2em; }
th, td { text-align: left; padding: .3em .8em .3em 0; border-bottom: 1px solid #8884; }
td { font-variant-numeric: tabular-nums; }
.bad { color: #c33; }
</style>
</head>
<body>
";

const FOOT: &str =
    "<p>As JSON: /node, /members, /shards, /shards/TYPE, /health/ready, /health/alive.</p>
</body>
</html>
";

/// The whole page.
pub(super) fn page(
    node: &NodeDocument,
    members: &MembersDocument,
    types: &TypesDocument,
) -> String {
    let mut html = HEAD.to_owned();
    let name = node.name.as_deref().unwrap_or("This node");
    let _ = writeln!(html, "<h1>{}</h1>", escaped(name));
    match &node.not_ready_because {
        None => html.push_str("<p>Ready.</p>\n"),
        Some(why) => {
            let _ = writeln!(html, "<p class=\"bad\">Not ready: {}.</p>", escaped(why));
        }
    }
    members_table(&mut html, members);
    types_table(&mut html, types);
    html.push_str(FOOT);
    html
}

fn members_table(html: &mut String, document: &MembersDocument) {
    let _ = writeln!(html, "<h2>Members: {}</h2>\n<table>", document.members.len());
    row(
        html,
        "th",
        &["address", "incarnation", "status", "reached", "roles", "version", "age", ""],
    );
    for member in &document.members {
        let reached = if member.is_reachable { "yes" } else { "no" };
        let age = member.up_number.map(|number| number.to_string()).unwrap_or_default();
        let what = match (member.is_this_node, member.is_leader) {
            (true, true) => "this node, leader",
            (true, false) => "this node",
            (false, true) => "leader",
            (false, false) => "",
        };
        let roles = member.roles.join(", ");
        row(
            html,
            "td",
            &[
                &member.address,
                &member.incarnation,
                &member.status,
                reached,
                &roles,
                &member.app_version,
                &age,
                what,
            ],
        );
    }
    html.push_str("</table>\n");
}

fn types_table(html: &mut String, document: &TypesDocument) {
    let _ = writeln!(html, "<h2>Types of entities: {}</h2>\n<table>", document.types.len());
    row(html, "th", &["type", "shards", "where", "core", "incarnation"]);
    for view in &document.types {
        row(html, "td", &[&view.name, &view.shards.to_string(), "", "", ""]);
        if view.unowned > 0 {
            row(html, "td", &["", &view.unowned.to_string(), "no owner known", "", ""]);
        }
        for place in &view.places {
            let address = place.address.as_deref().unwrap_or("no member any more");
            let (shards, core) = (place.shards.to_string(), place.core.to_string());
            row(html, "td", &["", &shards, address, &core, &place.incarnation]);
        }
    }
    html.push_str("</table>\n");
}

fn row(html: &mut String, cell: &str, texts: &[&str]) {
    html.push_str("<tr>");
    for text in texts {
        let _ = write!(html, "<{cell}>{}</{cell}>", escaped(text));
    }
    html.push_str("</tr>\n");
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
