//! Figures with their goals: a table for people, a file for everything else.

use std::fs;
use std::io;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

/// A figure, as a rule a ratio to a rival, and what it should be.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What is measured: `processor time, sluice / sail`.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// It should be no more than this.
    pub at_most: f64,
}

impl Goal {
    /// Whether the goal is met.
    pub fn met(&self) -> bool {
        self.value <= self.at_most
    }

    /// All of it, for the record.
    pub fn to_json(&self) -> Value {
        json!({ "name": self.name, "value": self.value, "at_most": self.at_most, "met": self.met() })
    }
}

/// The middle value; for an even number the lower of the two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// A plain table: the first column is text, the others are numbers.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// The goals as a table.
pub fn goals(goals: &[Goal]) -> String {
    let rows = goals.iter().map(|goal| {
        let verdict = if goal.met() { "met" } else { "MISSED" };
        vec![goal.name.clone(), format!("{:.2}", goal.value), format!("{:.2}", goal.at_most), verdict.to_owned()]
    });
    table(&["goal", "measured", "at most", ""], rows.collect())
}

/// Writes the record whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn save(path: &Path, record: &Value) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension("json.draft");
    fs::write(&draft, format!("{record:#}\n"))?;
    fs::rename(draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 1.0);
        assert!(median(Vec::new()).is_nan());
    }
}
