//! The commands of bpf(2) that aya 0.14 has no safe form of: pinned links of every type, look-ups of many entries at
//! once, and a run of a program that something else owns.

use std::ffi::CString;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aya::Pod;
use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_link_info, bpf_link_type};

fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: `attr` is a whole bpf_attr, initialised (zeroed where a command has no field), that outlives the call;
    // each caller keeps alive what its pointers lead to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, attr, size_of::<bpf_attr>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

fn attr() -> bpf_attr {
    // SAFETY: a union of integers, for which zero is a value; the kernel wants unused fields zero.
    unsafe { zeroed() }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// Opens what is pinned at `path`.
pub(super) fn object_get(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = attr();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    let fd = bpf(bpf_cmd::BPF_OBJ_GET, &mut attr)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has a link run another program from now on, without a moment in which it runs none.
pub(super) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = attr();
    attr.link_update.link_fd = number(link);
    attr.link_update.__bindgen_anon_1.new_prog_fd = number(program);
    bpf(bpf_cmd::BPF_LINK_UPDATE, &mut attr).map(drop)
}

/// Detaches a link at once; it runs nothing from now on.
pub(super) fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = attr();
    attr.link_detach.link_fd = number(link);
    bpf(bpf_cmd::BPF_LINK_DETACH, &mut attr).map(drop)
}

/// Where a link is attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LinkTarget {
    /// Interface, and attach type (`bpf_attach_type`). The interface is 0 once it is gone.
    Tcx { ifindex: u32, attach_type: u32 },
    /// Control group, and attach type. The control group is 0 once it is gone.
    Cgroup { id: u64, attach_type: u32 },
    /// Nothing that we attach to.
    Other,
}

/// Number of the program that a link attaches.
pub(super) fn link_program(link: BorrowedFd<'_>) -> io::Result<u32> {
    Ok(link_info(link)?.prog_id)
}

fn link_info(link: BorrowedFd<'_>) -> io::Result<bpf_link_info> {
    // SAFETY: integers, for which zero is a value.
    let mut info: bpf_link_info = unsafe { zeroed() };
    let mut attr = attr();
    attr.info.bpf_fd = number(link);
    attr.info.info_len = size_of::<bpf_link_info>() as u32;
    attr.info.info = (&raw mut info) as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(info)
}

/// Where a link is attached now.
pub(super) fn link_target(link: BorrowedFd<'_>) -> io::Result<LinkTarget> {
    let info = link_info(link)?;
    Ok(match info.type_ {
        t if t == bpf_link_type::BPF_LINK_TYPE_TCX as u32 => {
            // SAFETY: the type says which member the kernel filled in.
            let tcx = unsafe { info.__bindgen_anon_1.tcx };
            LinkTarget::Tcx { ifindex: tcx.ifindex, attach_type: tcx.attach_type }
        }
        t if t == bpf_link_type::BPF_LINK_TYPE_CGROUP as u32 => {
            // SAFETY: the type says which member the kernel filled in.
            let cgroup = unsafe { info.__bindgen_anon_1.cgroup };
            LinkTarget::Cgroup { id: cgroup.cgroup_id, attach_type: cgroup.attach_type }
        }
        _ => LinkTarget::Other,
    })
}

/// Some entries of a map, and where the rest begins.
pub(super) struct Batch<P> {
    /// Entries read.
    pub(super) count: usize,
    /// Where to go on; `None` after the last.
    pub(super) next: Option<P>,
}

/// Reads entries of a map from `position` (`None`: the beginning) on, as many as `keys` and `values` take. A position is a
/// number in a hash, of which whole buckets are read, `ENOSPC` when one is larger than that (Linux 5.6, commit
/// 057996380a42), and a key in a trie (Linux 5.13, commit f56387c534cd).
pub(super) fn lookup_batch<P: Pod, K: Pod, V: Pod>(
    map: BorrowedFd<'_>,
    position: Option<P>,
    keys: &mut [K],
    values: &mut [V],
) -> io::Result<Batch<P>> {
    // SAFETY: a Pod holds integers only, for which zero is a value.
    let mut next: P = unsafe { zeroed() };
    let start = position.unwrap_or(next);
    let mut attr = attr();
    attr.batch.map_fd = number(map);
    attr.batch.in_batch = if position.is_some() { (&raw const start) as u64 } else { 0 };
    attr.batch.out_batch = (&raw mut next) as u64;
    attr.batch.keys = keys.as_mut_ptr() as u64;
    attr.batch.values = values.as_mut_ptr() as u64;
    attr.batch.count = keys.len().min(values.len()) as u32;
    let more = match bpf(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr) {
        Ok(_) => true,
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => false,
        Err(error) => return Err(error),
    };
    // SAFETY: the kernel wrote how many it read there.
    let count = unsafe { attr.batch.count } as usize;
    Ok(Batch { count, next: more.then_some(next) })
}

/// Adds or replaces entries in their order, all in one system call. With an error comes how many took effect: those before
/// the one that failed (Linux 5.6, commit aa2e93b8e58e).
pub(super) fn update_batch<K: Pod, V: Pod>(
    map: BorrowedFd<'_>,
    keys: &[K],
    values: &[V],
) -> Result<(), (usize, io::Error)> {
    let entries = keys.len().min(values.len());
    let mut attr = attr();
    attr.batch.map_fd = number(map);
    attr.batch.keys = keys.as_ptr() as u64;
    attr.batch.values = values.as_ptr() as u64;
    attr.batch.count = entries as u32;
    bpf(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attr).map(drop).map_err(|error| {
        // SAFETY: the kernel wrote how many it took there, unless it refused before the first.
        let done = unsafe { attr.batch.count } as usize;
        (if done < entries { done } else { 0 }, error)
    })
}

/// Runs a program once on a packet; its return value.
pub(super) fn run_program(program: BorrowedFd<'_>, packet: &[u8]) -> io::Result<u32> {
    let mut attr = attr();
    attr.test.prog_fd = number(program);
    attr.test.data_in = packet.as_ptr() as u64;
    attr.test.data_size_in = packet.len() as u32;
    attr.test.repeat = 1;
    bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr)?;
    // SAFETY: the kernel wrote the result there.
    Ok(unsafe { attr.test.retval })
}
