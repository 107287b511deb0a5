//! The figures, for people and for programs.

use std::{fs, path::Path};

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

/// One figure.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// How much it was.
    pub value: f64,
    /// Of what: `ms`, `MiB`, or things counted.
    pub unit: &'static str,
    /// What it stands beside, in the same unit: the other way to do it, the work done before, the state before.
    pub beside: f64,
    /// `beside / value` of durations (how many times faster), `value / beside` of everything else.
    pub ratio: f64,
    /// What `beside` is.
    #[serde(skip)]
    pub beside_what: &'static str,
    /// What it is to be.
    #[serde(skip)]
    pub promise: &'static str,
    /// Whether it is.
    #[serde(skip)]
    pub kept: bool,
}

/// Prints the table and writes `bench-report.json` in the current directory: a list of rows.
pub fn publish(rows: &[Row]) {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header(["figure", "value", "unit", "beside", "", "ratio", "promise"]);
    for row in rows {
        let number = |number: f64| format!("{number:.2}").trim_end_matches('0').trim_end_matches('.').to_owned();
        let kept = if row.kept { "kept" } else { "NOT KEPT" };
        table.add_row([
            row.name,
            &number(row.value),
            row.unit,
            &number(row.beside),
            row.beside_what,
            &number(row.ratio),
            &format!("{}: {kept}", row.promise),
        ]);
    }
    for column in [1, 3, 5] {
        table.column_mut(column).expect("the header has it").set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    let path = Path::new("bench-report.json");
    let text = serde_json::to_string_pretty(rows).expect("figures are JSON");
    fs::write(path, text + "\n").unwrap_or_else(|e| panic!("writing {}: {e}", path.display()));
    println!("Written to {} (a {} build).", path.display(), if cfg!(debug_assertions) { "debug" } else { "release" });
}
