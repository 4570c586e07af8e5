//! A place for a dataplane that touches nothing of the machine's: a network namespace, a BPF file system and a control
//! group of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

use aya::programs::links::{FdLink, PinnedLink};
use proxy_common::tables::VERSION;
use proxy_user::dataplane::ebpf::cleanup::cleanup;
use proxy_user::dataplane::ebpf::{Dataplane, Error, Globals, Options, TcMode};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::thread::UnshareFlags;
use tempfile::TempDir;

/// The object that `cargo xtask build` makes, or the one that `SLUICE_EBPF_OBJECT` names.
pub(crate) fn object() -> Vec<u8> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target/bpf/sluice-ebpf.o");
    let path = std::env::var_os("SLUICE_EBPF_OBJECT").map_or(built, PathBuf::from);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask build` makes it", path.display()))
}

pub(crate) struct Place {
    bpffs: TempDir,
    cgroup: PathBuf,
    object: Vec<u8>,
}

impl Place {
    /// Moves the calling thread, and with it its test, to a network namespace of its own.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // First, as it may panic: nothing else would be removed then.
        let object = object();
        // SAFETY: only this thread's network namespace changes, which no other thread relies on.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.expect("a network namespace takes root");
        run("ip link set lo up");
        let bpffs = tempfile::tempdir().unwrap();
        mount("test", bpffs.path(), "bpf", MountFlags::empty(), None).unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cgroup = cgroup_root().join(format!("sluice-loader-{}-{number}", process::id()));
        fs::create_dir(&cgroup).unwrap();
        Self { bpffs, cgroup, object }
    }

    pub(crate) fn bpffs(&self) -> &Path {
        self.bpffs.path()
    }

    pub(crate) fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// Opens the dataplane. A process that another test is starting holds copies of our descriptors, and so the lock of a
    /// dataplane we dropped, until it runs its own program: hence a few attempts.
    pub(crate) fn open(&self, tc_mode: TcMode) -> Result<Dataplane, Error> {
        unlocked(|| self.try_open(tc_mode))
    }

    /// Cleans up, with the same patience.
    pub(crate) fn clean_up(&self) -> Result<Vec<String>, Error> {
        clean_up_at(self.bpffs())
    }

    pub(crate) fn try_open(&self, tc_mode: TcMode) -> Result<Dataplane, Error> {
        self.open_at(self.bpffs(), tc_mode)
    }

    pub(crate) fn open_at(&self, bpffs: &Path, tc_mode: TcMode) -> Result<Dataplane, Error> {
        Dataplane::open(&Options {
            object: &self.object,
            bpffs,
            tc_mode,
            socket_lb: true,
            bpf_log_level: None,
            globals: Globals::default(),
        })
    }

    /// Where this build pins.
    pub(crate) fn pins(&self) -> PathBuf {
        self.bpffs().join(format!("v{VERSION}"))
    }

    /// The pin of a link of this name.
    pub(crate) fn link(&self, name: &str) -> PathBuf {
        self.pins().join("links").join(name)
    }

    /// The numbers of a pinned link and of the program it runs.
    pub(crate) fn link_and_program(&self, name: &str) -> (u32, u32) {
        let info = FdLink::from(PinnedLink::from_pin(self.link(name)).unwrap()).info().unwrap();
        (info.id(), info.program_id())
    }

    pub(crate) fn pinned_links(&self) -> Vec<String> {
        let entries = fs::read_dir(self.pins().join("links")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = unmount(self.bpffs.path(), UnmountFlags::DETACH);
        let _ = fs::remove_dir(&self.cgroup);
    }
}

pub(crate) fn clean_up_at(bpffs: &Path) -> Result<Vec<String>, Error> {
    unlocked(|| cleanup(bpffs))
}

fn unlocked<T>(attempt: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..100 {
        match attempt() {
            Err(Error::Locked { .. }) => sleep(Duration::from_millis(10)),
            done => return done,
        }
    }
    attempt()
}

fn cgroup_root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let cgroup2 =
        mounts.lines().map(|mount| mount.split(' ').collect::<Vec<_>>()).find(|fields| fields[2] == "cgroup2");
    PathBuf::from(cgroup2.expect("a cgroup2 mount")[1])
}

/// Runs a command in this thread's network namespace; its output.
pub(crate) fn run(command: &str) -> String {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Adds a pair of virtual Ethernet interfaces; the index of the first.
pub(crate) fn add_veth(name: &str) -> u32 {
    run(&format!("ip link add {name} type veth peer name {name}-peer"));
    run(&format!("ip link set {name} up"));
    ifindex(name)
}

pub(crate) fn ifindex(name: &str) -> u32 {
    let line = run(&format!("ip -o link show dev {name}"));
    line.split(':').next().unwrap().parse().unwrap()
}
