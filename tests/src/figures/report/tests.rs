//! What a report looks like.

use super::Report;
use crate::figures::environment::Environment;
use crate::figures::measure::{Measure, Size};
use crate::figures::mode::Mode;

const CONNECT: Measure = Measure::less("connect, ClusterIP, p50", "us");
const LOST: Measure = Measure::less("packets lost", "packets");

fn report() -> Report {
    let mut report = Report::new(Environment {
        date: "2026-01-31".into(),
        kernel: "6.18".into(),
        commit: "0123456789".into(),
        cpu: "2 x Some CPU".into(),
        command: "cargo xtask bench".into(),
    });
    // As rounds give them: not in the order of a table.
    for (round, busy) in [(0, 1.0), (1, 3.0), (2, 1.0)] {
        for size in [Size::Services(50_000), Size::Services(1)] {
            report.add(CONNECT, Mode::Tc, size, round, 22.0 * busy);
            report.add(CONNECT, Mode::Direct, size, round, 20.0 * busy);
        }
    }
    report.add(CONNECT, Mode::Iptables, Size::Services(1), 0, 44.0);
    report.add(LOST, Mode::Tc, Size::One, 0, 0.0);
    report.leave_out("iptables at 50,000 Services: not ready after 10 min");
    report.leave_out("iptables at 50,000 Services:\n  not ready after 10 min\n");
    report.remark("iptables at 1 Service: rule 1 of 2");
    report
}

#[test]
fn the_table_has_a_row_for_each_size_and_a_ratio_in_each_cell_but_direct_s() {
    let table = report().table();
    let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(table.starts_with("connect, ClusterIP, p50 (us; less is better)\n"), "{table}");
    assert_eq!(lines[1], ["Services", "direct", "tc", "iptables"], "{table}");
    assert_eq!(lines[2].join(" "), "1 20 (20-40) 1.10 (1.10-1.10); 22 2.20 (2.20-2.20); 44", "{table}");
    assert_eq!(lines[3].join(" "), "50,000 20 (20-40) 1.10 (1.10-1.10); 22 -", "{table}");
    assert_eq!(table.matches("not ready after 10 min").count(), 1, "{table}");
    assert!(table.contains("Linux 6.18, 2 x Some CPU, commit 0123456789, 2026-01-31"), "{table}");
}

#[test]
fn the_page_s_section_says_how_it_was_measured_and_each_row_has_as_many_cells_as_the_heading() {
    let text = report().markdown();
    assert!(text.starts_with("## 2026-01-31\n\nLinux 6.18"), "{text}");
    assert!(text.contains("`cargo xtask bench`") && text.contains("- iptables at 50,000 Services"), "{text}");
    let cells = |line: &str| line.matches('|').count();
    let tables: Vec<_> = text.lines().collect();
    let rows = tables.chunk_by(|one, other| one.starts_with('|') == other.starts_with('|'));
    for table in rows.filter(|lines| lines[0].starts_with('|')) {
        assert!(table.iter().all(|row| cells(row) == cells(table[0])), "{table:#?}");
    }
}

#[test]
fn json_has_every_figure_with_its_spread() {
    let json = report().json();
    let figures = json["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 6);
    let slowest = figures.iter().find(|it| it["mode"] == "tc" && it["size"]["services"] == 50_000).unwrap();
    assert_eq!(slowest["name"], "connect, ClusterIP, p50");
    assert_eq!(slowest["absolute"]["most"], 66.0);
    assert!((slowest["toDirect"]["median"].as_f64().unwrap() - 1.1).abs() < 1e-9, "{slowest}");
    assert_eq!(json["environment"]["commit"], "0123456789");
    assert_eq!(json["leftOut"].as_array().unwrap().len(), 1);
    assert_eq!(json["remarks"][0], "iptables at 1 Service: rule 1 of 2");
}

#[test]
fn plots_are_a_line_for_each_mode_over_sizes_and_a_bar_for_each_ratio() {
    let plots = report().svg().unwrap();
    let names: Vec<_> = plots.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["connect-clusterip-p50.svg", "ratios-1-services.svg", "ratios-50000-services.svg"]);
    for (name, svg) in &plots {
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}: {svg}");
    }
    let (lines, bars) = (&plots[0].1, &plots[1].1);
    assert!(["direct", "tc", "iptables", "50,000"].iter().all(|word| lines.contains(word)), "{lines}");
    assert!(bars.contains("2.20") && bars.contains("1.10") && !bars.contains(">\ndirect\n<"), "{bars}");
}
