//! Where the report goes: the terminal, `target/bench`, and the page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use lab::figures::Report;

use crate::plan::Plan;

/// On the page, summaries come after this line, the newest first.
const NEWEST: &str = "<!-- newest first -->\n";

pub(crate) fn write(plan: &Plan, report: &Report) -> Result<()> {
    let folder = workspace().join("target/bench");
    let json = serde_json::to_string_pretty(&report.json())? + "\n";
    put(&folder.join("bench.json"), &json)?;
    for (name, svg) in report.svg().context("cannot draw the plots")? {
        put(&folder.join(name), &svg)?;
    }
    if plan.json {
        print!("{json}");
    } else {
        print!("{}\nJSON and plots are in {}\n", report.table(), folder.display());
    }
    if plan.save { add_to_page(&report.markdown()) } else { Ok(()) }
}

fn add_to_page(section: &str) -> Result<()> {
    let path = workspace().join("docs/benchmarks.md");
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (before, after) = page
        .split_once(NEWEST)
        .with_context(|| format!("{} has no line {NEWEST:?}: the summary goes after it", path.display()))?;
    put(&path, &format!("{before}{NEWEST}\n{section}{}", after.trim_start()))
}

fn put(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}
