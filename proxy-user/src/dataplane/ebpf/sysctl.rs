//! Kernel settings of this network namespace that the programs depend on, changed only where they stand in the way.
//!
//! - `rp_filter`: strict (1) becomes loose (2) on uplinks and the loopback interface. A packet redirected by us, or answered by
//!   a backend through another interface than the kernel would route to, fails the strict test (RFC 3704, 2.2).
//! - `accept_local` on the loopback interface: what the node sends to itself is translated on the way out, and then comes
//!   in from one of the node's own addresses.
//! - `route_localnet` on the loopback interface: what answers a node port on `127.0.0.1` comes in there anew, and the kernel
//!   would drop addresses of `127.0.0.0/8` for which it has to look up a route. In iptables mode it is set for all interfaces,
//!   as kube-proxy does.
//!
//! A change is recorded, before it is made, as a directory `<interface>:<setting>:<old value>` beside the pins, and undone
//! by clean-up unless someone has changed the setting since.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount_remount};

use super::error::Error;
use super::mount::make_directories;
use super::pins::{decoded, encoded, entries, remove_directory};

const SETTINGS: &str = "/proc/sys";
const CONF: &str = "/proc/sys/net/ipv4/conf";
const RP_FILTER: &str = "rp_filter";
const STRICT: u32 = 1;
const LOOSE: u32 = 2;
const ACCEPT_LOCAL: &str = "accept_local";
const ROUTE_LOCALNET: &str = "route_localnet";
const ON: u32 = 1;

/// Makes the reverse path test of an interface loose if it is strict. The stricter of `all` and the interface's own
/// setting would rule, but loose is the larger number, and the larger rules.
pub(super) fn loosen_reverse_path(records: &Path, ifname: &str) -> Result<(), Error> {
    let (Some(all), Some(own)) = (read("all", RP_FILTER)?, read(ifname, RP_FILTER)?) else { return Ok(()) };
    if all.max(own) == STRICT { change(records, ifname, RP_FILTER, own, LOOSE) } else { Ok(()) }
}

/// Lets the loopback interface take packets from the node's own addresses, and from and to `127.0.0.0/8`; of each, the
/// interface's own setting or `all` is enough.
pub(super) fn open_loopback(records: &Path) -> Result<(), Error> {
    for setting in [ACCEPT_LOCAL, ROUTE_LOCALNET] {
        if let (Some(0), Some(0)) = (read("all", setting)?, read("lo", setting)?) {
            change(records, "lo", setting, 0, ON)?;
        }
    }
    Ok(())
}

/// Lets packets from and to `127.0.0.0/8` pass any interface, as rules of iptables need it that translate node ports on
/// loopback, or has it as it was before. The rules keep others from reaching what listens on loopback.
pub(super) fn route_localnet(records: &Path, on: bool) -> Result<(), Error> {
    if on {
        return if read("all", ROUTE_LOCALNET)? == Some(0) {
            change(records, "all", ROUTE_LOCALNET, 0, ON)
        } else {
            Ok(())
        };
    }
    let record = record(records, "all", ROUTE_LOCALNET, 0);
    if record.exists() {
        undo(&record)?;
    }
    Ok(())
}

fn record(records: &Path, ifname: &str, setting: &str, old: u32) -> PathBuf {
    records.join(format!("{}:{setting}:{old}", encoded(ifname)))
}

fn change(records: &Path, ifname: &str, setting: &'static str, old: u32, new: u32) -> Result<(), Error> {
    let record = record(records, ifname, setting, old);
    make_directories(&record).map_err(|source| Error::Sysctl { action: "record a change at", path: record, source })?;
    write(ifname, setting, new)?;
    tracing::info!(interface = %ifname, setting, old, new, "changed a kernel setting");
    Ok(())
}

/// Undoes every recorded change. Returns what it did.
pub(super) fn restore(records: &Path) -> Result<Vec<String>, Error> {
    let mut restored = Vec::new();
    for record in entries(records)? {
        restored.extend(undo(&record)?);
    }
    remove_directory(records)?;
    Ok(restored)
}

/// Undoes a recorded change. Returns what it did, if anything.
fn undo(record: &Path) -> Result<Option<String>, Error> {
    let mut undone = None;
    if let Some((ifname, setting, old, ours)) = parse(record)
        && read(&ifname, setting)? == Some(ours)
    {
        write(&ifname, setting, old)?;
        undone = Some(format!("setting net.ipv4.conf.{ifname}.{setting}={ours} (is {old} again)"));
    }
    remove_directory(record)?;
    Ok(undone)
}

/// Interface, setting, old and new value of a record.
fn parse(record: &Path) -> Option<(String, &'static str, u32, u32)> {
    let mut parts = record.file_name()?.to_str()?.split(':');
    let ifname = decoded(parts.next()?)?;
    let (setting, ours) = match parts.next()? {
        RP_FILTER => (RP_FILTER, LOOSE),
        ACCEPT_LOCAL => (ACCEPT_LOCAL, ON),
        ROUTE_LOCALNET => (ROUTE_LOCALNET, ON),
        _ => return None,
    };
    Some((ifname, setting, parts.next()?.parse().ok()?, ours))
}

fn path(ifname: &str, setting: &str) -> PathBuf {
    Path::new(CONF).join(ifname).join(setting)
}

/// The value of a setting; `None` when the interface is gone.
fn read(ifname: &str, setting: &str) -> Result<Option<u32>, Error> {
    let path = path(ifname, setting);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text
            .and_then(|text| text.trim().parse().map_err(io::Error::other))
            .map(Some)
            .map_err(|source| Error::Sysctl { action: "read", path, source }),
    }
}

fn write(ifname: &str, setting: &str, value: u32) -> Result<(), Error> {
    let path = path(ifname, setting);
    let mut written = fs::write(&path, value.to_string());
    if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem) {
        written = make_writable().and_then(|()| fs::write(&path, value.to_string()));
    }
    match written {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        written => written.map_err(|source| Error::Sysctl { action: "write", path, source }),
    }
}

/// Runtimes show a container that isn't privileged the settings read-only, by a mount in its own mount namespace. Whom they
/// gave `CAP_SYS_ADMIN` may undo that, there and nowhere else.
fn make_writable() -> io::Result<()> {
    let flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount_remount(SETTINGS, flags, "")?)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
    use rustix::thread::{UnshareFlags, unshare_unsafe};

    use super::*;

    #[test]
    fn settings_that_a_runtime_shows_read_only_are_changed_in_this_mount_namespace() {
        let records = tempfile::tempdir().unwrap();
        let changed = thread::scope(|scope| {
            let changed = scope.spawn(|| {
                // SAFETY: only namespaces of this thread change; no file descriptor table is unshared.
                unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }.expect("namespaces take root");
                mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
                mount_bind(SETTINGS, SETTINGS).unwrap();
                mount_remount(SETTINGS, MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
                let refused = fs::write(path("lo", ACCEPT_LOCAL), "1").unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::ReadOnlyFilesystem);
                open_loopback(&records.path().join("settings")).unwrap();
                read("lo", ACCEPT_LOCAL).unwrap()
            });
            changed.join().unwrap()
        });
        assert_eq!(changed, Some(ON));
    }
}
