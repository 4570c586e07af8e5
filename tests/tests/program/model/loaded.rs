//! The programs in the kernel.

use proxy_common::tables::service_flags;

use super::story::{Ends, Packet, Story};
use super::{Outcome, Subject};
use crate::bench::{Bench, Verdict};
use crate::packet::{What, see, tcp, udp};

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
        }
        Self(bench)
    }

    fn pass(&mut self, hook: &'static str, packet: Packet) -> Outcome {
        let (src, dst) = (packet.ends.src.to_string(), packet.ends.dst.to_string());
        let frame = match (packet.tcp, packet.opens) {
            (true, true) => tcp(&src, &dst, "S"),
            (true, false) => tcp(&src, &dst, "A"),
            (false, _) => udp(&src, &dst, b"hello"),
        };
        let (verdict, out) = self.0.run(hook, &frame);
        if verdict == Verdict::Drop {
            return Outcome::Dropped;
        }
        let seen = see(&out);
        match seen.what {
            What::Icmp { .. } => Outcome::Refused,
            What::Tcp { flags, .. } if flags.contains('R') => Outcome::Refused,
            _ if out == frame => Outcome::Untouched,
            _ => Outcome::Translated(Ends { src: seen.src.parse().unwrap(), dst: seen.dst.parse().unwrap() }),
        }
    }
}
