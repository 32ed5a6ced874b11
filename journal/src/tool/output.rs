//! What a command prints: one line a fact, as text for people or as JSON for programs.

use std::io::{self, Write};

use serde_json::{Map, Value};

/// Where a command prints.
pub struct Output<'w> {
    out: &'w mut dyn Write,
    is_json: bool,
}

impl<'w> Output<'w> {
    pub fn new(out: &'w mut dyn Write, is_json: bool) -> Self {
        Output { out, is_json }
    }

    /// Hands everything to whoever reads it.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Prints a fact: its name and a sentence for people, or its name and `fields` (an object) for programs.
    pub fn fact(&mut self, name: &str, text: &str, fields: Value) -> io::Result<()> {
        if !self.is_json {
            return writeln!(self.out, "{name:<9} {text}");
        }
        let mut object = Map::new();
        object.insert("fact".to_owned(), name.into());
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        writeln!(self.out, "{}", Value::Object(object))
    }
}
