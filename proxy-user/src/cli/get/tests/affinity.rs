//! Session affinity.

use proxy_common::addr::Port;
use proxy_common::tables::{self, Affinity, AffinityKey, Member, MemberKey, member_flags};
use serde_json::json;

use super::*;
use crate::cli::clock::seconds as uptime;
use crate::cli::get::affinity;

#[test]
fn affinity_says_whether_it_still_binds_and_why_not() {
    let pinned = with_everything();
    let member = |ip: &str, flags| (MemberKey::new(WEB, addr(ip), Port::new(8080)), Member { flags });
    pinned.put(
        tables::MEMBERS,
        [member("10.0.1.2", member_flags::CLUSTER), member("10.0.1.9", 0), member("10.0.0.2", member_flags::LOCAL)],
    );
    let now = uptime() + 1000;
    let bound = |client: &str, endpoint: &str, generation, last_used| {
        let key = AffinityKey { client: addr(client), service: WEB };
        (key, Affinity::new(addr(endpoint), Port::new(8080), generation, last_used))
    };
    pinned.put(
        tables::AFFINITY,
        [
            bound("192.0.2.1", "10.0.1.2", 2, now),
            bound("192.0.2.2", "10.0.1.9", 2, now),
            bound("192.0.2.3", "10.0.1.2", 1, now),
            bound("192.0.2.4", "10.0.1.2", 2, now.wrapping_sub(1000 + 10_900)),
            bound("192.0.2.5", "10.0.0.2", 2, now),
            (
                AffinityKey { client: addr("192.0.2.6"), service: DNS },
                Affinity::new(addr("10.0.1.53"), Port::new(5353), 0, now),
            ),
            (AffinityKey { client: addr("192.0.2.7"), service: 99 }, Affinity::default()),
        ],
    );
    let rows = affinity::read(&Pinned::open(pinned.bpffs()).unwrap(), EVERYTHING).unwrap();
    let text = table(&rows, ListFormat::Table);
    let states: Vec<_> = text.lines().skip(1).filter_map(|line| line.rsplit("   ").next()).collect();
    assert_eq!(states, ["Bound", "EndpointLeft", "SwitchedOff", "Expired", "Bound", "SwitchedOff"], "{text}");
    let first = "default       web    http      TCP        192.0.2.1   10.0.1.2:8080    0s       10800s   Bound";
    assert_eq!(text.lines().nth(1), Some(first), "{text}");
    let item = &json(&rows)["items"][0];
    assert_eq!((&item["leftSeconds"], &item["state"]), (&json!(10_800), &json!("Bound")));
    let of_dns = Filter { name: Some("dns"), ..EVERYTHING };
    assert_eq!(affinity::read(&Pinned::open(pinned.bpffs()).unwrap(), of_dns).unwrap().len(), 1);
}
