//! The figures, for people and for programs.

use std::{fs, path::Path};

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
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
    pub beside_what: &'static str,
    /// What it is to be.
    pub promise: &'static str,
    /// Whether it is.
    pub kept: bool,
}

/// Prints the table and writes `bench-report.json` in the current directory: a list of rows.
pub fn publish(rows: &[Row]) {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["figure", "measured", "beside", "ratio", "promise"]);
    let number = |number: f64| format!("{number:.1}").trim_end_matches(".0").to_owned();
    for row in rows {
        let kept = if row.kept { "kept" } else { "NOT KEPT" };
        table.add_row([
            row.name,
            &format!("{} {}", number(row.value), row.unit),
            &format!("{} {}, {}", number(row.beside), row.unit, row.beside_what),
            &number(row.ratio),
            &format!("{}: {kept}", row.promise),
        ]);
    }
    println!("{table}");
    let path = Path::new("bench-report.json");
    let text = serde_json::to_string_pretty(rows).expect("figures are JSON");
    fs::write(path, text + "\n").unwrap_or_else(|e| panic!("writing {}: {e}", path.display()));
    println!("Written to {} (a {} build).", path.display(), if cfg!(debug_assertions) { "debug" } else { "release" });
}
