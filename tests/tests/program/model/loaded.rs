//! The programs in the kernel.

use proxy_common::tables::service_flags;

use super::plain::AFFINITY_TIMEOUT;
use super::story::{Ends, Packet, Protocol, Story, range};
use super::{Outcome, Subject};
use crate::bench::{Bench, Verdict};
use crate::packet::{What, echo, see, tcp, udp};

pub(super) struct Loaded(Bench);

impl Subject for Loaded {
    fn begin(story: &Story) -> Self {
        let mut bench = Bench::new();
        for service in &story.services {
            let backends: Vec<String> = service
                .endpoints
                .iter()
                .map(|endpoint| format!("{}{}", if endpoint.local { "@" } else { "" }, endpoint.addr))
                .collect();
            let backends: Vec<&str> = backends.iter().map(String::as_str).collect();
            let only = |local_only: bool| if local_only { service_flags::LOCAL_ONLY } else { 0 };
            let first = bench.service(&[&service.cluster_ip.to_string()], &backends, only(service.internal_local));
            bench.node_port(first, service.node_port, &backends, only(service.external_local));
            let ranges = if service.ranges { service_flags::SOURCE_RANGES } else { 0 };
            let external = service_flags::EXTERNAL | ranges | only(service.external_local);
            bench.also_at(first, &service.balancer.to_string(), &backends, external);
            let (network, prefix) = range(story.ipv6);
            bench.source_range(first, network, prefix);
            if service.affinity {
                bench.bind_clients(first, AFFINITY_TIMEOUT);
            }
        }
        Self(bench)
    }

    fn pass(&mut self, hook: &'static str, packet: Packet) -> Outcome {
        let (src, dst) = (packet.ends.src.to_string(), packet.ends.dst.to_string());
        let frame = match (packet.protocol, packet.opens) {
            (Protocol::Tcp, true) => tcp(&src, &dst, "S"),
            (Protocol::Tcp, false) => tcp(&src, &dst, "A"),
            (Protocol::Udp, _) => udp(&src, &dst, b"hello"),
            (Protocol::Echo, _) => echo(&src, &dst),
        };
        let (verdict, out) = self.0.run(hook, &frame);
        if verdict == Verdict::Drop {
            return Outcome::Dropped;
        }
        if out == frame {
            return Outcome::Untouched;
        }
        let seen = see(&out);
        match seen.what {
            What::Icmp { .. } => Outcome::Refused,
            What::Tcp { flags, .. } if flags.contains('R') => Outcome::Refused,
            _ => Outcome::Translated(Ends { src: seen.src.parse().unwrap(), dst: seen.dst.parse().unwrap() }),
        }
    }
}
