//! Pods at a bridge, whose packets to each other are no IP of the node's: `br_netfilter` shows them to the rules.

use std::fs;
use std::path::Path;

use crate::dataplane::iptables::error::Error;

const SETTINGS: [&str; 2] =
    ["/proc/sys/net/bridge/bridge-nf-call-iptables", "/proc/sys/net/bridge/bridge-nf-call-ip6tables"];

/// Has the packets between ports of a bridge filtered, where some pod's interface is one.
///
/// # Errors
/// The kernel can't, or a setting can't be written.
pub(super) fn filter<'a>(mut interfaces: impl Iterator<Item = &'a String>) -> Result<(), Error> {
    let is_port = |name: &&String| Path::new("/sys/class/net").join(name).join("brport").exists();
    let Some(interface) = interfaces.find(is_port) else { return Ok(()) };
    for setting in SETTINGS {
        let set = || if fs::read_to_string(setting)?.trim() == "1" { Ok(()) } else { fs::write(setting, "1") };
        set().map_err(|source| Error::Bridge { interface: interface.clone(), setting, source })?;
    }
    Ok(())
}
