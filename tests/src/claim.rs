//! Who owns a lab: the process that holds the lock of its directory. The kernel releases the lock of a process that
//! dies, however it dies, so a lab that nobody holds and nobody asked to keep is removed at the next start.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rustix::fs::{FlockOperation, flock};

use crate::error::{Doing, Error, Result};
use crate::id::{LABS, LabId};
use crate::teardown::teardown;

/// This process's labs. Whoever removes one holds the lock meanwhile; after Ctrl-C that lasts until the process ends, so
/// that nothing else is done or reported.
static LIVE: Mutex<Vec<LabId>> = Mutex::new(Vec::new());

/// A lab of this process; removed when dropped, unless it is kept.
pub(crate) struct Claim {
    pub(crate) id: LabId,
    _lock: File,
}

impl Claim {
    /// Takes the next number.
    pub(crate) fn new() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::NotRoot);
        }
        remove_labs_on_ctrl_c();
        let _labs = lock_all()?;
        remove_stale()?;
        let mut live = live();
        let id = next_number()?;
        let dir = id.dir();
        fs::create_dir(&dir).doing(|| format!("make {}", dir.display()))?;
        let lock = open(&dir)?;
        flock(&lock, FlockOperation::LockExclusive).doing(|| format!("lock {}", dir.display()))?;
        live.push(id);
        Ok(Self { id, _lock: lock })
    }

    /// Leaves the lab in place after this process.
    pub(crate) fn keep(&self) -> Result<()> {
        let marker = self.id.keep_marker();
        fs::write(&marker, "").doing(|| format!("write {}", marker.display()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut live = live();
        live.retain(|id| *id != self.id);
        if self.id.keep_marker().exists() {
            return;
        }
        if let Err(error) = teardown(self.id) {
            eprintln!("lab {} is not removed: {error}", self.id);
        }
    }
}

/// Removes a lab that no process uses, a kept one too.
pub(crate) fn remove(id: LabId) -> Result<()> {
    let _labs = lock_all()?;
    let lock = open(&id.dir())?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| Error::InUse(id.0))?;
    teardown(id)
}

/// Every lab on this machine, in order.
pub(crate) fn all() -> Result<Vec<LabId>> {
    let Ok(entries) = fs::read_dir(LABS) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.doing(|| format!("list {LABS}"))?;
        found.extend(entry.file_name().to_str().and_then(|name| name.parse().ok()).map(LabId));
    }
    found.sort_unstable();
    Ok(found)
}

/// A number is not used twice before the machine restarts: what is found of a lab is never another's.
fn next_number() -> Result<LabId> {
    let path = Path::new(LABS).join("last");
    let last: u32 = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let id = LabId(last + 1);
    fs::write(&path, id.to_string()).doing(|| format!("write {}", path.display()))?;
    Ok(id)
}

fn remove_stale() -> Result<()> {
    for id in all()?.into_iter().filter(|id| !id.keep_marker().exists()) {
        // Its owner may have removed it since it was listed.
        let Ok(lock) = open(&id.dir()) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            teardown(id)?;
        }
    }
    Ok(())
}

/// While this is held no other process makes or removes a lab that isn't its own.
fn lock_all() -> Result<File> {
    fs::create_dir_all(LABS).doing(|| format!("make {LABS}"))?;
    let labs = open(Path::new(LABS))?;
    flock(&labs, FlockOperation::LockExclusive).doing(|| format!("lock {LABS}"))?;
    Ok(labs)
}

fn open(dir: &Path) -> Result<File> {
    File::open(dir).doing(|| format!("open {}", dir.display()))
}

fn live() -> MutexGuard<'static, Vec<LabId>> {
    // A test that panicked while it held the list has changed nothing in it.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// On Ctrl-C, SIGTERM and SIGHUP. A program that has a handler of its own keeps it; its labs go at the next start.
fn remove_labs_on_ctrl_c() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let handler = || {
            let live = live();
            for id in live.iter() {
                if !id.keep_marker().exists() {
                    let _ = teardown(*id);
                }
            }
            std::process::exit(130);
        };
        let _ = ctrlc::set_handler(handler);
    });
}
