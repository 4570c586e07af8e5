//! The report for people: ratios first.
#![expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 here")]

use std::io::Write as _;

use tabwriter::TabWriter;

use crate::report::Report;
use crate::stopwatch::{Percentiles, Took};

/// One row for each measure, one column for each size, and the last column's ratio to the first.
pub(crate) fn tables(report: &Report) -> anyhow::Result<String> {
    let mut out = TabWriter::new(Vec::new()).padding(3);
    let sizes = report.services.map(|services| services.to_string()).join("\t");
    let [least, _, most] = report.services;
    writeln!(out, "Linux {}, {} endpoints a Service, {} changes", report.kernel, report.endpoints, report.changes)?;
    writeln!(out, "\nONE ENDPOINT'S CHANGE, BY SERVICES\t{sizes}\t{most} : {least}")?;
    let changes = &report.change;
    row(&mut out, "writes, at most", changes.iter().map(|it| it.most_writes as f64), 0)?;
    percentiles(&mut out, "object to kernel, us", changes.iter().map(|it| it.wall_micros), 1)?;
    percentiles(&mut out, "the same on the CPU, us", changes.iter().map(|it| it.cpu_micros), 1)?;
    percentiles(&mut out, "agent: file to kernel, ms", report.agent.iter().map(|it| it.change_millis), 1)?;
    row(&mut out, "agent: CPU of a change, us", report.agent.iter().map(|it| it.change_cpu_micros), 0)?;

    writeln!(out, "\nFIRST FULL STATE, BY SERVICES\t{sizes}\t{most} : {least}")?;
    let first = &report.first;
    let total = first.iter().map(|it| it.writes.values().sum::<u64>() as f64);
    row(&mut out, "writes", total, 0)?;
    for table in first.last().into_iter().flat_map(|it| it.writes.keys()) {
        let entries = first.iter().map(|it| it.writes.get(table).copied().unwrap_or_default() as f64);
        row(&mut out, &format!("  {table}"), entries, 0)?;
    }
    took(&mut out, "decode", first.iter().map(|it| it.decode))?;
    took(&mut out, "model", first.iter().map(|it| it.model))?;
    took(&mut out, "plan", first.iter().map(|it| it.plan))?;
    took(&mut out, "kernel", first.iter().map(|it| it.kernel))?;
    let whole = first.iter().map(|it| [it.model, it.plan, it.kernel].iter().map(|it| it.cpu_seconds).sum());
    row(&mut out, "model, plan and kernel, CPU s", whole, 3)?;
    let bytes = first.iter().map(|it| it.map_bytes.values().sum::<u64>() as f64 / f64::from(1 << 20));
    row(&mut out, "memory of all maps, MiB", bytes, 1)?;
    took(&mut out, "agent: ready", report.agent.iter().map(|it| it.ready))?;
    let resident = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    row(&mut out, "agent: resident, MiB", report.agent.iter().map(|it| resident(it.resident_bytes)), 1)?;
    row(&mut out, "agent: resident at most, MiB", report.agent.iter().map(|it| resident(it.peak_bytes)), 1)?;

    writeln!(out, "\nRESTART, BY SERVICES\t{sizes}\t{most} : {least}")?;
    row(&mut out, "writes", report.restart.iter().map(|it| it.writes as f64), 0)?;
    took(&mut out, "adopt and compare", report.restart.iter().map(|it| it.took))?;
    Ok(String::from_utf8(out.into_inner()?)?)
}

type Out = TabWriter<Vec<u8>>;

fn row(out: &mut Out, name: &str, values: impl Iterator<Item = f64>, digits: usize) -> anyhow::Result<()> {
    let values: Vec<f64> = values.collect();
    write!(out, "{name}")?;
    for value in &values {
        write!(out, "\t{value:.digits$}")?;
    }
    let ratio = values.first().zip(values.last()).map(|(first, last)| last / first);
    match ratio.filter(|ratio| ratio.is_finite()) {
        Some(ratio) => writeln!(out, "\t{ratio:.2}")?,
        None => writeln!(out, "\t-")?,
    }
    Ok(())
}

fn percentiles(
    out: &mut Out,
    name: &str,
    values: impl Iterator<Item = Percentiles> + Clone,
    digits: usize,
) -> anyhow::Result<()> {
    row(out, &format!("{name}, p50"), values.clone().map(|it| it.p50), digits)?;
    row(out, &format!("{name}, p99"), values.map(|it| it.p99), digits)
}

fn took(out: &mut Out, name: &str, values: impl Iterator<Item = Took> + Clone) -> anyhow::Result<()> {
    row(out, &format!("{name}, CPU s"), values.clone().map(|it| it.cpu_seconds), 3)?;
    row(out, &format!("{name}, wall s"), values.map(|it| it.wall_seconds), 3)
}
