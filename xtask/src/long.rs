//! Suites that are too long for every run of the tests: `cargo xtask flood`, `cargo xtask leak`.

use anyhow::{Result, bail};

use crate::{build, process, setup};

/// Runs the tests that a target of the suites leaves out otherwise.
pub(crate) fn run(target: &str) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the suite needs a lab, which needs root: sudo --preserve-env=HOME,PATH cargo xtask flood, or leak");
    }
    setup::network()?;
    build::everything(setup::ebpf()?, false)?;
    let test = ["test", "--package", "sluice-tests", "--test", target];
    process::run(process::cargo().args(test).args(["--", "--ignored", "--test-threads=1", "--nocapture"]))
}
