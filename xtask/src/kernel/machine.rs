//! The machine: qemu without hardware's help, so that it runs wherever tests run. It has no network and no disk.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// Boots a kernel, and gives each line of its serial console to `line`, until it powers off.
pub(super) fn boot(kernel: &Path, initrd: &Path, mut line: impl FnMut(&str)) -> Result<()> {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3072"]);
    command.args(["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]);
    command.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
    // Where this machine is busy, the emulated timer doesn't tick in time for the kernel's check of it.
    command.args(["-append", "console=ttyS0 quiet panic=-1 no_timer_check"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start qemu")?;
    let console = BufReader::new(child.stdout.take().context("qemu has no stdout")?);
    for bytes in console.split(b'\n') {
        let bytes = bytes.context("cannot read the machine's console")?;
        line(String::from_utf8_lossy(&bytes).trim_end_matches('\r'));
    }
    child.wait().context("cannot wait for qemu").map(drop)
}
