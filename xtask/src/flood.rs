//! `cargo xtask flood`: the floods that are too long for every run of the tests.

use anyhow::{Result, bail};

use crate::{build, process, setup};

/// Floods a node with a million half-open connections.
pub(crate) fn run() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("a flood needs a lab, which needs root: sudo --preserve-env=HOME,PATH cargo xtask flood");
    }
    setup::network()?;
    build::everything(setup::ebpf()?, false)?;
    let test = ["test", "--package", "sluice-tests", "--test", "flood"];
    process::run(process::cargo().args(test).args(["--", "--ignored", "--test-threads=1", "--nocapture"]))
}
