//! Tables on a terminal.

use std::io;

/// Columns of a terminal that does not report its size.
const DEFAULT_COLUMNS: usize = 80;

/// Returns the number of columns of stdout. `None` if it is not a terminal.
pub(crate) fn terminal_columns() -> Option<usize> {
    columns_of(&io::stdout())
}

/// Returns the number of columns of stderr. `None` if it is not a terminal.
pub(crate) fn stderr_columns() -> Option<usize> {
    columns_of(&io::stderr())
}

#[cfg(unix)]
fn columns_of(stream: &(impl io::IsTerminal + std::os::fd::AsFd)) -> Option<usize> {
    stream.is_terminal().then(|| match rustix::termios::tcgetwinsize(stream) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => DEFAULT_COLUMNS,
    })
}

#[cfg(not(unix))]
fn columns_of(stream: &impl io::IsTerminal) -> Option<usize> {
    stream.is_terminal().then_some(DEFAULT_COLUMNS)
}

/// Maximum width of each column except the widest one, which gets the rest.
const MAX_CELL: usize = 18;

/// A table with a header.
pub(crate) struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(header: [&str; COLUMNS]) -> Self {
        Self { rows: vec![header.map(ToOwned::to_owned)] }
    }

    pub(crate) fn add(&mut self, row: [String; COLUMNS]) {
        self.rows.push(row);
    }

    /// Returns the lines with at most `columns` characters. Long cells of the widest column are shortened at their start, and others at their end.
    pub(crate) fn lines(&self, columns: usize) -> Vec<String> {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let mut widths: [usize; COLUMNS] = std::array::from_fn(width);
        let widest = (0..COLUMNS).max_by_key(|column| widths[*column]).unwrap_or(0);
        for (column, width) in widths.iter_mut().enumerate() {
            *width = if column == widest { *width } else { (*width).min(MAX_CELL) };
        }
        let used: usize = widths.iter().sum::<usize>() + COLUMNS - 1;
        widths[widest] = widths[widest].saturating_sub(used.saturating_sub(columns)).max(1);
        self.rows
            .iter()
            .map(|row| {
                let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
                    let cell = if column == widest { cut_start(cell, width) } else { cut_end(cell, width) };
                    format!("{cell:width$}")
                });
                cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
            })
            .collect()
    }
}

fn cut_end(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

pub(super) fn cut_start(text: &str, width: usize) -> String {
    let length = text.chars().count();
    match length > width {
        true => ['…'].into_iter().chain(text.chars().skip(length - width + 1)).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_the_widest_column_to_the_width_of_a_terminal() {
        let mut table = Table::new(["", "NAME", "IMAGE", "SIZE"]);
        let image = format!("registry.example/{}/app:1", "team/".repeat(20));
        table.add(["+".into(), "A".repeat(40), image, "1.0 MiB".into()]);
        table.add(["=".into(), "B".into(), "python:3".into(), String::new()]);
        let lines = table.lines(DEFAULT_COLUMNS);
        assert!(lines.iter().all(|line| line.chars().count() <= DEFAULT_COLUMNS), "{lines:#?}");
        assert!(lines[1].starts_with("+ AAAAAAAAAAAAAAAAA… …"), "{lines:#?}");
        assert!(lines[1].ends_with("/app:1 1.0 MiB"), "{lines:#?}");
        let start = format!("= B{}python:3", " ".repeat(18));
        assert_eq!(lines[2], start);
    }
}
