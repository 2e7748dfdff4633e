//! The table.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::machine;
use crate::measure::Bench;

/// One measured figure.
struct Row {
    what: String,
    measured: String,
    budget: String,
    met: Option<bool>,
}

/// All figures of a run.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// A figure with its budget and whether it is met.
    pub(crate) fn budget(&mut self, what: &str, measured: String, budget: &str, met: bool) {
        self.add(what, measured, budget, Some(met));
    }

    /// A figure that no budget binds.
    pub(crate) fn figure(&mut self, what: &str, measured: String) {
        self.add(what, measured, "", None);
    }

    /// What could not be measured, and why.
    pub(crate) fn failed(&mut self, what: &str, why: &str) {
        let why = why.replace('|', "\\|").replace('\n', " ");
        self.add(what, format!("not measured: {why}"), "", Some(false));
    }

    /// Something for whoever looks on, which is not for the table.
    pub(crate) fn say(&self, text: &str) {
        report_line(text);
    }

    fn add(&mut self, what: &str, measured: String, budget: &str, met: Option<bool>) {
        report_line(&format!("{what}: {measured}"));
        self.rows.push(Row { what: what.to_owned(), measured, budget: budget.to_owned(), met });
    }

    fn table(&self) -> String {
        let mut table = String::from("| what | measured | budget | met |\n|---|---|---|---|\n");
        for row in &self.rows {
            let met = row.met.map_or("", |met| if met { "yes" } else { "**no**" });
            let _ = writeln!(table, "| {} | {} | {} | {met} |", row.what, row.measured, row.budget);
        }
        table
    }

    /// Shows the table.
    pub(crate) fn print(&self) {
        report_line(&format!("\n{}", self.table()));
    }

    /// Writes the table with the machine and the day to `bench/RESULTS.md`.
    pub(crate) fn write(&self, bench: &Bench) -> Result<()> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
        let machine = machine::describe(&std::env::temp_dir())?;
        let text = format!(
            "# Results\n\nMeasured on {} by `cargo run --release -p bench -- all --seconds {} --rounds {} --backlog {} --listed {} \
             --documents {}{}`: \
             load, mock provider and all that is measured share the machine; what has rounds is their median.\n\nMachine: {machine}.\n\n{}",
            machine::today(),
            bench.time.as_secs(),
            bench.rounds,
            bench.backlog,
            bench.listed,
            bench.documents,
            if bench.meilisearch.is_some() { " --meili-url …" } else { "" },
            self.table()
        );
        std::fs::write(directory.join("RESULTS.md"), text)?;
        Ok(())
    }
}

/// Says something to whoever runs the bench.
#[expect(clippy::print_stdout, reason = "a report on standard output is what this program is for")]
fn report_line(text: &str) {
    println!("{text}");
}
