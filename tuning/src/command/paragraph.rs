//! Text that fits a terminal.

/// The columns that are filled.
pub(super) const COLUMNS: usize = 100;

/// Breaks a text into lines that begin with the indent and fit the terminal; a word that does not fit has a line alone.
pub(super) fn filled(text: &str, indent: &str) -> String {
    let mut filled = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let chars = word.chars().count();
        if column > 0 && column + 1 + chars > COLUMNS {
            filled.push('\n');
            column = 0;
        }
        let before = if column == 0 { indent } else { " " };
        filled.push_str(before);
        filled.push_str(word);
        column += before.chars().count() + chars;
    }
    filled.push('\n');
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filled_and_never_longer_than_the_terminal() {
        let text = "word ".repeat(50);
        let filled = filled(&text, "  ");
        assert!(filled.lines().all(|line| line.len() <= COLUMNS && line.starts_with("  word")));
        assert_eq!(filled.split_whitespace().count(), 50);
        assert_eq!(super::filled("a", "  "), "  a\n");
    }
}
