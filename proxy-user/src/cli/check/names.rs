//! What groups of Pods and of addresses are called.

use std::collections::BTreeSet;

use super::cluster::PodName;

/// Names that are listed before the rest is only counted.
const LISTED: usize = 3;

/// Name of a group of Pods of one namespace: that of the only one; what their names have in common, if no other Pod's has
/// it; else the names themselves.
pub(super) fn pods(group: &[PodName], all: &BTreeSet<&PodName>) -> String {
    let [(namespace, first), ..] = group else { return String::new() };
    if group.len() == 1 {
        return format!("{namespace}/{first}");
    }
    let prefix = common_prefix(group.iter().map(|(_, name)| name.as_str()));
    let alike = all.iter().filter(|(of, name)| of == namespace && name.starts_with(prefix)).count();
    if alike == group.len() {
        return format!("{namespace}/{prefix}* ({})", group.len());
    }
    let names: Vec<&str> = group.iter().map(|(_, name)| name.as_str()).collect();
    format!("{namespace}/{}", list(&names, ","))
}

/// Name of a group of addresses.
pub(super) fn addresses(has_outside: bool, networks: &[String]) -> String {
    let networks: Vec<&str> = networks.iter().map(String::as_str).collect();
    match (has_outside, &networks[..]) {
        (true, []) => "outside".into(),
        (true, networks) => format!("outside, {}", list(networks, ", ")),
        (false, networks) => list(networks, ", "),
    }
}

fn list(names: &[&str], separator: &str) -> String {
    let shown = &names[..names.len().min(LISTED)];
    let rest = names.len() - shown.len();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", shown.join(separator))
}

/// What all names begin with, up to the end of one of their parts.
fn common_prefix<'a>(mut names: impl Iterator<Item = &'a str>) -> &'a str {
    let Some(first) = names.next() else { return "" };
    let length = names.fold(first.len(), |length, name| {
        first.bytes().zip(name.bytes()).take(length).take_while(|(a, b)| a == b).count()
    });
    first[..length].rfind(['-', '.']).map_or("", |end| &first[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(group: &[&str], others: &[&str]) -> String {
        let pod = |name: &&str| ("default".to_owned(), (*name).to_owned());
        let (group, others): (Vec<_>, Vec<_>) = (group.iter().map(pod).collect(), others.iter().map(pod).collect());
        pods(&group, &group.iter().chain(&others).collect())
    }

    #[test]
    fn pods_go_by_what_only_their_names_have_in_common() {
        assert_eq!(name(&["web-7d4-a", "web-7d4-b"], &["db-0"]), "default/web-7d4-* (2)");
        assert_eq!(name(&["web-1", "web-2"], &["web-3"]), "default/web-1,web-2");
        assert_eq!(name(&["web-1"], &["web-2"]), "default/web-1");
        assert_eq!(name(&["a", "b", "c", "d", "e"], &["f"]), "default/a,b,c and 2 more");
        assert_eq!(name(&["a", "b", "c"], &[]), "default/* (3)");
    }

    #[test]
    fn a_common_part_ends_where_a_part_of_the_name_does() {
        assert_eq!(name(&["web-12", "web-13"], &["other"]), "default/web-* (2)");
        assert_eq!(name(&["web", "web-1"], &["other"]), "default/web,web-1");
    }
}
