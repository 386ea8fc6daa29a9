//! Figures as Markdown.

use std::fmt;

/// A titled table; numbers stand to the right.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    note: String,
}

impl Table {
    pub(crate) fn new(title: &str, head: &[&str]) -> Self {
        let head = head.iter().map(|cell| (*cell).to_owned()).collect();
        Self { title: title.to_owned(), head, rows: Vec::new(), note: String::new() }
    }

    pub(crate) fn row<const CELLS: usize>(&mut self, cells: [String; CELLS]) {
        assert_eq!(CELLS, self.head.len(), "every column has a head");
        self.rows.push(cells.into());
    }

    /// Puts a sentence below it.
    pub(crate) fn note(&mut self, text: &str) {
        text.clone_into(&mut self.note);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "## {}\n", self.title)?;
        writeln!(formatter, "| {} |", self.head.join(" | "))?;
        writeln!(formatter, "|---|{}", "---:|".repeat(self.head.len() - 1))?;
        for row in &self.rows {
            writeln!(formatter, "| {} |", row.join(" | "))?;
        }
        if self.note.is_empty() { Ok(()) } else { writeln!(formatter, "\n{}", self.note) }
    }
}

/// The value in the middle, or the mean of the two there; of nothing, no number.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count => f64::midpoint(values[(count - 1) / 2], values[count / 2]),
    }
}

/// A part of a whole, with more digits the smaller it is.
pub(crate) fn ratio(value: f64) -> String {
    if value < 0.1 { format!("{value:.3}") } else { format!("{value:.2}") }
}

/// Bytes in units of 1,000,000, with more digits the fewer there are.
pub(crate) fn megabytes(bytes: f64) -> String {
    let value = bytes / 1e6;
    if value < 1.0 { format!("{value:.3}") } else { format!("{value:.1}") }
}
