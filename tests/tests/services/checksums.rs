//! The kernel's own count of wrong checksums.

use anyhow::{Result, ensure};
use lab::{Cluster, Host};

/// No host of the lab got a packet whose checksum was wrong: IPv4 header, TCP, UDP or ICMP.
pub(crate) fn were_right(cluster: &Cluster) -> Result<()> {
    let lab = cluster.lab().id();
    for name in Host::names(lab) {
        let (mut counters, mut wrong) = (0, Vec::new());
        for line in Host::find(lab, &name)?.run(&["nstat", "-asz"])?.lines() {
            let mut words = line.split_whitespace();
            if let (Some(counter), Some(count)) = (words.next(), words.next())
                && counter.ends_with("CsumErrors")
            {
                counters += 1;
                wrong.extend((count != "0").then(|| format!("{counter} {count}")));
            }
        }
        ensure!(counters >= 6, "nstat on {name} shows {counters} counters of checksum errors");
        ensure!(wrong.is_empty(), "wrong checksums reached {name}: {wrong:?}");
    }
    Ok(())
}
