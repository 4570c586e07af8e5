//! Which rules of iptables are kube-proxy's, and what removes them.

use std::collections::BTreeSet;

/// Chains of a table that have one name on every node (rule 9.20), those of IPVS mode among them.
const NAMES: [(&str, &[&str]); 3] = [
    (
        "filter",
        &[
            "KUBE-EXTERNAL-SERVICES",
            "KUBE-FORWARD",
            "KUBE-IPVS-FILTER",
            "KUBE-IPVS-OUT-FILTER",
            "KUBE-NODE-PORT",
            "KUBE-NODEPORTS",
            "KUBE-PROXY-CANARY",
            "KUBE-PROXY-FIREWALL",
            "KUBE-SERVICES",
            "KUBE-SOURCE-RANGES-FIREWALL",
        ],
    ),
    (
        "nat",
        &[
            "KUBE-LOAD-BALANCER",
            MARK,
            "KUBE-NODE-PORT",
            "KUBE-NODEPORTS",
            MASQUERADE,
            "KUBE-PROXY-CANARY",
            "KUBE-SERVICES",
        ],
    ),
    ("mangle", &["KUBE-PROXY-CANARY"]),
];
/// Chains of a Service or an endpoint, in `nat`.
const PREFIXES: [&str; 5] = ["KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-", "KUBE-SVC-", "KUBE-SVL-"];
/// Marks what is to be masqueraded. Others use it, too: the CNI plugin `portmap` may be told to.
const MARK: &str = "KUBE-MARK-MASQ";
/// Masquerades what is marked. While nobody marks it changes nothing, but the kernel tracks connections in a network
/// namespace only as long as some rule there needs that (`nf_ct_netns_get`), and this one does.
const MASQUERADE: &str = "KUBE-POSTROUTING";

/// What of a family's rules is kube-proxy's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Chains {
    /// Number of chains that go.
    pub(super) count: usize,
    /// Chains that stay because rules or connections of others need them, and the table.
    pub(super) in_use: BTreeSet<String>,
    /// What `iptables-restore --noflush` is to be fed to remove them; empty where there is nothing.
    pub(super) removal: String,
}

impl Chains {
    /// Reads what `iptables-save` says. Where conntrack translates connections, what has it do so stays.
    pub(super) fn find(saved: &str, translates: bool) -> Self {
        let mut found = Self::default();
        let mut table = Table::default();
        for line in saved.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = Table { name: name.into(), ..Table::default() };
            } else if line == "COMMIT" {
                table.close(translates, &mut found);
            } else {
                table.lines.push(line.to_owned());
            }
        }
        found
    }
}

#[derive(Default)]
struct Table {
    name: String,
    lines: Vec<String>,
}

impl Table {
    fn close(&self, translates: bool, found: &mut Chains) {
        let names = self.lines.iter().filter_map(|line| line.strip_prefix(':')?.split(' ').next());
        let mut ours: BTreeSet<&str> = names.filter(|name| is_kube_proxys(&self.name, name)).collect();
        let mut in_use: BTreeSet<&str> = self
            .rules()
            .filter(|rule| !ours.contains(rule.chain) && !rule.is_in_built_in_chain())
            .filter_map(|rule| ours.get(rule.target?).copied())
            .collect();
        if in_use.contains(MARK) || (translates && self.name == "nat") {
            in_use.extend(ours.get(MASQUERADE));
        }
        ours.retain(|chain| !in_use.contains(chain));
        found.in_use.extend(in_use.iter().map(|chain| format!("{chain} of {}", self.name)));
        if ours.is_empty() {
            return;
        }
        found.count += ours.len();
        let flushed = ours.iter().map(|chain| format!(":{chain} - [0:0]\n"));
        let jumps = self.rules().filter(|rule| !ours.contains(rule.chain));
        let jumps = jumps.filter(|rule| rule.target.is_some_and(|target| ours.contains(target)));
        let jumps = jumps.map(|rule| format!("-D {}\n", rule.text));
        let removed = ours.iter().map(|chain| format!("-X {chain}\n"));
        let lines: String = flushed.chain(jumps).chain(removed).collect();
        found.removal.extend(["*", &self.name, "\n", &lines, "COMMIT\n"]);
    }

    fn rules(&self) -> impl Iterator<Item = Rule<'_>> {
        self.lines.iter().filter_map(|line| Rule::read(line.strip_prefix("-A ")?))
    }
}

/// A rule as it is saved.
struct Rule<'a> {
    /// Chain and all that follows.
    text: &'a str,
    chain: &'a str,
    target: Option<&'a str>,
}

impl<'a> Rule<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let words = words(text);
        let target = words.windows(2).find(|pair| matches!(pair[0], "-j" | "-g")).map(|pair| pair[1]);
        Some(Self { text, chain: words.first()?, target })
    }

    fn is_in_built_in_chain(&self) -> bool {
        matches!(self.chain, "PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING")
    }
}

/// The words of a rule; what is in quotes is one, whatever it says.
fn words(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let is_between = |c: char| {
        let between = c == ' ' && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        between
    };
    text.split(is_between).filter(|word| !word.is_empty()).collect()
}

fn is_kube_proxys(table: &str, chain: &str) -> bool {
    let named = NAMES.iter().any(|(of, names)| *of == table && names.contains(&chain));
    named || (table == "nat" && PREFIXES.iter().any(|prefix| chain.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_the_kubelet_and_of_others_are_not_kube_proxys() {
        let saved = "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-KUBELET-CANARY - [0:0]\n:KUBE-MARK-DROP - [0:0]\nCOMMIT\n\
                     *filter\n:KUBE-FIREWALL - [0:0]\n-A INPUT -j KUBE-FIREWALL\n:KUBE-SVC-X - [0:0]\nCOMMIT\n";
        assert_eq!(Chains::find(saved, false), Chains::default());
    }

    #[test]
    fn chains_go_with_the_jumps_that_lead_to_them() {
        let saved = "*nat\n:OUTPUT ACCEPT [1:2]\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-A - [0:0]\n\
                     -A OUTPUT -m comment --comment \"a -j KUBE-SVC-A\" -j ACCEPT\n\
                     -A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
                     -A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-A\nCOMMIT\n";
        let found = Chains::find(saved, false);
        assert_eq!(found.count, 2);
        assert_eq!(
            found.removal,
            "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-A - [0:0]\n\
             -D OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
             -X KUBE-SERVICES\n-X KUBE-SVC-A\nCOMMIT\n"
        );
    }

    #[test]
    fn a_chain_that_rules_of_others_lead_to_stays_and_so_does_what_masquerades_for_it() {
        let saved = "*nat\n:CNI-HOSTPORT-DNAT - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n:KUBE-POSTROUTING - [0:0]\n\
                     :KUBE-SERVICES - [0:0]\n-A POSTROUTING -j KUBE-POSTROUTING\n\
                     -A CNI-HOSTPORT-DNAT -s 10.244.0.0/16 -j KUBE-MARK-MASQ\nCOMMIT\n";
        let found = Chains::find(saved, false);
        assert_eq!(found.removal, "*nat\n:KUBE-SERVICES - [0:0]\n-X KUBE-SERVICES\nCOMMIT\n");
        let in_use = ["KUBE-MARK-MASQ of nat", "KUBE-POSTROUTING of nat"];
        assert_eq!(found.in_use, in_use.map(String::from).into());
    }

    #[test]
    fn what_has_conntrack_translate_stays_while_it_does() {
        let saved = "*nat\n:KUBE-POSTROUTING - [0:0]\n:KUBE-SERVICES - [0:0]\n-A POSTROUTING -j KUBE-POSTROUTING\n\
                     -A KUBE-POSTROUTING -j MASQUERADE\nCOMMIT\n";
        let found = Chains::find(saved, true);
        assert_eq!(found.removal, "*nat\n:KUBE-SERVICES - [0:0]\n-X KUBE-SERVICES\nCOMMIT\n");
        assert_eq!(found.in_use, ["KUBE-POSTROUTING of nat".to_owned()].into());
        assert_eq!(Chains::find(saved, false).count, 2);
    }
}
