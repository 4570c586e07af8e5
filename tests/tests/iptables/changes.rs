//! What is written, and what is left as it is.

use proxy_common::addr::Family;
use proxy_user::dataplane::iptables::Rules;
use proxy_user::model::{Protocol, ServicePort, TrafficPolicy};

use crate::place::{Place, generation, on_a_node, restore, run, saved};
use crate::ports::{endpoint, of_every_kind, port};

fn both_families() -> Vec<ServicePort> {
    [Family::V4, Family::V6].into_iter().flat_map(of_every_kind).collect()
}

/// What counts as a rule's packets from here on, in each rule that isn't written again.
const COUNTED: &str = "[7:7] ";

/// Counts packets in each rule of IPv4. (The tools of IPv6 restore no counts.)
fn count() {
    let counted = run("iptables-save -c").replace("[0:0] -A", &format!("{COUNTED}-A"));
    restore("iptables-restore", &counted);
}

/// The rules of IPv4 that were written since.
fn written() -> Vec<String> {
    let uncounted = |line: &&str| line.contains(" -A ") && !line.starts_with(COUNTED);
    run("iptables-save -c").lines().filter(uncounted).map(String::from).collect()
}

#[test]
fn rules_that_are_as_they_should_be_are_not_written_again() {
    on_a_node(|place| {
        place.plan(&both_families());
        place.sync(None);
        let (rules, written) = (saved(), generation());
        assert!(rules.len() > 100, "{rules:#?}");
        Rules::open().unwrap().sync_services(place.plan.image(), None, &place.node).unwrap();
        assert_eq!((saved(), generation()), (rules, written));
        run("iptables -N ANOTHER");
        assert_ne!(generation(), written, "it grows with each change");
    });
}

#[test]
fn what_changes_leave_is_what_an_agent_that_starts_then_writes() {
    on_a_node(|place| {
        place.sync(None);
        let ports = both_families();
        let changes: [&dyn Fn(ServicePort) -> ServicePort; 7] = [
            &|port| port,
            &|port| ServicePort { endpoints: port.endpoints.into_iter().skip(1).collect(), ..port },
            &|port| ServicePort { session_affinity: Some(60), ..port },
            &|port| ServicePort { external_traffic_policy: TrafficPolicy::Local, source_ranges: None, ..port },
            &|port| ServicePort { frontends: port.frontends.into_iter().rev().skip(1).collect(), ..port },
            &|port| ServicePort { endpoints: Vec::new(), ..port },
            &|port| port,
        ];
        for change in changes {
            for port in ports.iter().cloned() {
                place.serve(&[change(port)]);
            }
            assert_eq!(saved_then(place), Vec::<String>::new());
        }
        let gone = ports.iter().map(|port| (port.name.service.clone(), Vec::new())).collect();
        let writes = place.plan.update(&gone);
        place.sync(Some(&writes));
        assert_eq!(saved_then(place), Vec::<String>::new());
        assert!(!saved().iter().any(|line| line.contains("default/")), "{:#?}", saved());
    });
}

/// In what the rules differ from those of an agent that starts now; from then on, they are those.
fn saved_then(place: &mut Place) -> Vec<String> {
    let rules = saved();
    let anew = place.anew();
    place.sync(None);
    let only = |here: &Vec<String>, there: &Vec<String>, sign: char| -> Vec<String> {
        here.iter().filter(|line| !there.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    let mut differences = only(&rules, &anew, '+');
    differences.extend(only(&anew, &rules, '-'));
    if differences.is_empty() && rules != anew {
        differences.push("another order".into());
    }
    differences
}

#[test]
fn a_change_leaves_the_rules_of_all_other_services_alone() {
    on_a_node(|place| {
        place.plan(&both_families());
        place.sync(None);
        count();
        let mut web =
            port("plain", "10.96.0.1:80", Protocol::Tcp, &["*10.1.0.1:8080", "10.1.0.2:8080", "10.1.0.3:8080"]);
        web.endpoints.push(endpoint("10.1.0.77:8080"));
        place.serve(&[web]);
        // Of its chain, the masquerade and one rule an endpoint; the new endpoint's two.
        assert_eq!(written().len(), 1 + 4 + 2, "{:#?}", written());
    });
}

#[test]
fn what_somebody_else_did_to_the_rules_is_undone_by_the_next_full_comparison() {
    on_a_node(|place| {
        place.plan(&both_families());
        place.sync(None);
        let rules = saved();
        run("iptables -t nat -F SLUICE-SERVICES");
        run("iptables -t nat -D OUTPUT 1");
        run("ip6tables -t nat -A SLUICE-SERVICES -d 2001:db8::99/128 -j RETURN");
        run("iptables -t nat -N SLUICE-SVC-STRAY");
        run("iptables -A SLUICE-FORWARD -j DROP");
        run("iptables -A FORWARD -s 192.0.2.9/32 -j DROP");
        assert_ne!(saved(), rules);
        place.sync(None);
        let foreign = "iptables-save filter -A FORWARD -s 192.0.2.9/32 -j DROP";
        let (of_others, ours): (Vec<_>, Vec<_>) = saved().into_iter().partition(|line| line == foreign);
        assert_eq!((of_others.len(), ours), (1, rules));
    });
}

#[test]
fn node_ports_stand_behind_all_other_frontends_and_on_the_addresses_that_serve_them() {
    use proxy_common::tables::{Address, address_flags};
    on_a_node(|place| {
        place.plan(&both_families());
        place.sync(None);
        let last = || run("iptables -t nat -S SLUICE-SERVICES").lines().last().unwrap().to_owned();
        assert!(last().ends_with("-m addrtype --dst-type LOCAL -j SLUICE-NODEPORTS"), "{}", last());
        let serving = |text: &str, serves: bool| {
            let node_port = if serves { address_flags::NODE_PORT } else { 0 };
            (crate::place::addr(text), Address { flags: address_flags::NODE | node_port })
        };
        let addresses = [serving("192.0.2.1", true), serving("192.0.2.2", false), serving("127.0.0.1", false)];
        let writes = place.plan.set_node_addresses(addresses.into());
        place.sync(Some(&writes));
        assert!(
            last().starts_with("-A SLUICE-SERVICES -d 192.0.2.1/32 ") && last().ends_with("-j SLUICE-NODEPORTS"),
            "{}",
            last()
        );
        assert!(!run("iptables -S SLUICE-FIREWALL").contains("DROP"), "nothing is served on loopback");
        assert_eq!(saved_then(place), Vec::<String>::new());
    });
}
