//! Connections as lines of a table that a person can read.

use super::report::Connection;

/// A line: one connection, or several that nothing comes of.
pub(super) struct Line<'a> {
    pub(super) from: String,
    pub(super) to: String,
    /// The connection, or one of them.
    pub(super) of: &'a Connection,
    stands_for_others: bool,
}

/// The connections that a policy is about, by their destinations. Where an end is isolated towards everybody, those it is
/// closed to are one line: it stands for all that have none of their own.
pub(super) fn lines(connections: &[Connection]) -> Vec<Line<'_>> {
    let isolated = connections.iter().filter(|it| it.isolated);
    let mut lines: Vec<Line<'_>> = isolated.map(line).collect();
    let mut order: Vec<&str> = Vec::new();
    for it in connections.iter().flat_map(|it| [&it.ends.from, &it.ends.to]) {
        if !order.contains(&it.as_str()) {
            order.push(it);
        }
    }
    for end in &order {
        merge(&mut lines, connections, |it| it.ends.to == *end, |line, others| line.from = others.into());
    }
    for end in &order {
        merge(&mut lines, connections, |it| it.ends.from == *end, |line, others| line.to = others.into());
    }
    let place = |name: &str| order.iter().position(|it| *it == name);
    lines.sort_by_key(|line| (place(&line.of.ends.to), line.stands_for_others));
    lines
}

fn line(of: &Connection) -> Line<'_> {
    Line { from: of.ends.from.clone(), to: of.ends.to_with_family(), of, stands_for_others: false }
}

/// Makes one line of those of an end that are closed alike, if all connections of that end are isolated.
fn merge(
    lines: &mut Vec<Line<'_>>,
    connections: &[Connection],
    is_of_end: impl Fn(&Connection) -> bool,
    rename: impl Fn(&mut Line<'_>, &str),
) {
    let is_own = |it: &Line<'_>| is_of_end(it.of) && !it.stands_for_others;
    let is_closed = |it: &Line<'_>| is_own(it) && it.of.allowed.is_empty() && it.of.ends.family.is_none();
    let own = lines.iter().filter(|it| is_own(it)).count();
    let closed: Vec<usize> = (0..lines.len()).filter(|i| is_closed(&lines[*i])).collect();
    let [others @ .., last] = &closed[..] else { return };
    let of = lines[*last].of;
    let is_alike = |i: &usize| lines[*i].of.audited == of.audited && lines[*i].of.denied == of.denied;
    let is_isolated = connections.iter().filter(|it| is_of_end(it)).all(|it| it.isolated);
    if !is_isolated || others.is_empty() || !others.iter().all(is_alike) {
        return;
    }
    lines[*last].stands_for_others = true;
    rename(&mut lines[*last], if closed.len() == own { "everybody" } else { "all others" });
    for i in others.iter().rev() {
        lines.remove(*i);
    }
}
