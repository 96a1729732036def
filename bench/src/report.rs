//! What was measured: many values a cell, told as their median, and ratios to a reference.
//!
//! Rewrites only its own part of the page, so that the words around it stay.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::bars;

const BEGIN: &str = "<!-- bench: begin -->";
/// The rows that have to be exact.
const OURS: &str = "pgfeed";
const END: &str = "<!-- bench: end -->";

/// All cells of one run, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    /// Scenarios that could not be measured, and why.
    failures: Vec<String>,
}

struct Row {
    scenario: &'static str,
    case: String,
    target: &'static str,
    cells: Vec<(&'static str, Cell)>,
}

enum Cell {
    Values(Vec<f64>),
    Text(String),
}

/// One row as it is being filled.
pub(crate) struct Entry<'a>(&'a mut Row);

impl Report {
    pub(crate) fn entry(
        &mut self,
        scenario: &'static str,
        case: &str,
        target: &'static str,
    ) -> Entry<'_> {
        let same = |row: &Row| row.scenario == scenario && row.case == case && row.target == target;
        let index = self.rows.iter().position(same).unwrap_or_else(|| {
            self.rows.push(Row { scenario, case: case.to_owned(), target, cells: Vec::new() });
            self.rows.len() - 1
        });
        Entry(&mut self.rows[index])
    }

    /// The median of a cell.
    pub(crate) fn value(&self, at: (&str, &str, &str), column: &str) -> Option<f64> {
        let same = |row: &&Row| (row.scenario, row.case.as_str(), row.target) == at;
        self.rows.iter().find(same)?.value(column)
    }

    pub(crate) fn fail(&mut self, why: String) {
        self.failures.push(why);
    }

    /// Whether pgfeed delivered exactly and every scenario ran; speed is not judged here.
    pub(crate) fn is_sound(&self) -> bool {
        let ours = self.rows.iter().filter(|row| row.target == OURS);
        let mut cells = ours.flat_map(|row| &row.cells);
        let broken = cells.any(|(_, cell)| matches!(cell, Cell::Text(text) if text.contains("**")));
        self.failures.is_empty() && !broken
    }

    pub(crate) fn markdown(&self, about: &str) -> String {
        let mut page = format!("{about}\n\n## Bars\n\n{}", bars::table(self));
        let mut scenarios: Vec<&str> = self.rows.iter().map(|row| row.scenario).collect();
        scenarios.dedup();
        for scenario in scenarios {
            write!(page, "\n## {scenario}\n\n{}", self.table_of(scenario)).ok();
        }
        for failure in &self.failures {
            write!(page, "\n**Not measured.** {failure}\n").ok();
        }
        page
    }

    pub(crate) fn table_of(&self, scenario: &str) -> String {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.scenario == scenario).collect();
        if rows.is_empty() { String::new() } else { table(&rows) }
    }

    /// Puts the tables between the marks of the page, or makes the page.
    pub(crate) fn write(&self, path: &Path, about: &str) -> Result<()> {
        let old = fs::read_to_string(path).unwrap_or_else(|_missing| {
            format!("# Measurements\n\nWritten by `make bench`.\n\n{BEGIN}\n{END}\n")
        });
        let (before, rest) = old.split_once(BEGIN).context("no begin mark in the page")?;
        let (_, after) = rest.split_once(END).context("no end mark in the page")?;
        let page = format!("{before}{BEGIN}\n{}{END}{after}", self.markdown(about));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, page).with_context(|| path.display().to_string())
    }
}

impl Entry<'_> {
    pub(crate) fn add(&mut self, column: &'static str, value: f64) -> &mut Self {
        match self.0.cells.iter_mut().find(|(name, _)| *name == column) {
            Some((_, Cell::Values(values))) => values.push(value),
            Some((_, cell)) => *cell = Cell::Values(vec![value]),
            None => self.0.cells.push((column, Cell::Values(vec![value]))),
        }
        self
    }

    /// Words in place of a number; among rounds the first that is not fine stays (it has `**`).
    pub(crate) fn say(&mut self, column: &'static str, text: impl Into<String>) -> &mut Self {
        let mut same = self.0.cells.iter().filter(|(name, _)| *name == column);
        if same.any(|(_, cell)| matches!(cell, Cell::Text(text) if text.contains("**"))) {
            return self;
        }
        self.0.cells.retain(|(name, _)| *name != column);
        self.0.cells.push((column, Cell::Text(text.into())));
        self
    }
}

impl Row {
    fn value(&self, column: &str) -> Option<f64> {
        match &self.cells.iter().find(|(name, _)| *name == column)?.1 {
            Cell::Values(values) => Some(median(values)),
            Cell::Text(_) => None,
        }
    }
}

fn table(rows: &[&Row]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.cells) {
        if !columns.contains(name) {
            columns.push(name);
        }
    }
    let ratio = columns.first().copied().unwrap_or_default();
    let mut out = format!("| case | who | {} | ratio of {ratio} |\n", columns.join(" | "));
    writeln!(out, "| --- | --- |{}", " --- |".repeat(columns.len() + 1)).ok();
    for row in rows {
        let cells: Vec<String> = columns.iter().map(|column| cell(row, column)).collect();
        let reference = rows.iter().find(|other| other.case == row.case);
        let base = reference.and_then(|other| other.value(ratio));
        let ratio = match (row.value(ratio), base) {
            (Some(value), Some(base)) if base > 0.0 => format!("{:.2}", value / base),
            _ => "–".to_owned(),
        };
        writeln!(out, "| {} | {} | {} | {ratio} |", row.case, row.target, cells.join(" | ")).ok();
    }
    out
}

fn cell(row: &Row, column: &str) -> String {
    match row.cells.iter().find(|(name, _)| *name == column) {
        None => "–".to_owned(),
        Some((_, Cell::Text(text))) => text.clone(),
        Some((_, Cell::Values(values))) => {
            let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), value| {
                (low.min(*value), high.max(*value))
            });
            let median = number(median(values));
            if values.len() < 3 || number(low) == number(high) {
                return median;
            }
            format!("{median} ({}–{})", number(low), number(high))
        }
    }
}

/// Three figures; more would claim what such a measurement does not know.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 || size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_compared_with_the_first_of_its_case() {
        let mut report = Report::default();
        for (target, values) in [("bare", [2.0, 4.0, 3.0]), ("node", [6.0, 6.0, 6.0])] {
            for value in values {
                report.entry("fanout", "1,000 × 1", target).add("µs", value);
            }
        }
        let page = report.markdown("");
        assert!(page.contains("| 1,000 × 1 | bare | 3 (2–4) | 1.00 |"), "{page}");
        assert!(page.contains("| 1,000 × 1 | node | 6 | 2.00 |"), "{page}");
    }

    #[test]
    fn only_the_part_between_the_marks_changes() {
        let folder = std::env::temp_dir().join(format!("pgfeed-report-{}", std::process::id()));
        let path = folder.join("page.md");
        let report = Report::default();
        report.write(&path, "first").expect("write");
        report.write(&path, "second").expect("write again");
        let page = fs::read_to_string(&path).expect("page");
        assert!(page.starts_with("# Measurements") && page.contains("second"));
        assert!(!page.contains("first"));
        fs::remove_dir_all(folder).expect("remove");
    }
}
