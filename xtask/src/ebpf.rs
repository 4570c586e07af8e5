//! Cargo for the kernel programs.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::setup::Toolchain;
use crate::{process, workspace};

/// The kernel's byte order is the host's.
const TARGET: &str = if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };

/// `cargo VERB` (or `cargo-VERB VERB`, for one that isn't built in) on proxy-ebpf, for the BPF target.
///
/// # Errors
/// When PATH can't be extended.
pub(crate) fn cargo(toolchain: &Toolchain, program: &str, verb: &str) -> Result<Command> {
    let mut command = Command::new(toolchain.tool(program));
    command.current_dir(workspace::root());
    // What the cargo that started xtask, rustup, or the user's own settings say is for the host's compiler.
    for name in
        ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "RUSTDOCFLAGS", "RUSTDOC", "RUSTC_WORKSPACE_WRAPPER", "LD_LIBRARY_PATH"]
    {
        command.env_remove(name);
    }
    command
        .env("CARGO", toolchain.tool("cargo"))
        .env("RUSTC", toolchain.tool("rustc"))
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags())
        .env("PATH", process::path_with(&[workspace::tools().join("bin"), toolchain.sysroot.join("bin")])?)
        .args([verb, "--package", "proxy-ebpf", "--release", "--locked", "--target", TARGET, "-Z", "build-std=core"])
        .arg("--target-dir")
        .arg(workspace::ebpf_target());
    Ok(command)
}

/// The program cargo builds.
pub(crate) fn built_object() -> PathBuf {
    workspace::ebpf_target().join(TARGET).join("release/sluice-ebpf")
}

/// BTF, from the debug information, for the kernel's verifier and for bpftool; and the paths in it start at the workspace, so
/// that the object doesn't depend on where it was built.
fn rustflags() -> String {
    let bpf_target_arch = if ARCH.starts_with("riscv64") { "riscv64" } else { ARCH };
    let flags = [
        format!("--cfg=bpf_target_arch=\"{bpf_target_arch}\""),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("--remap-path-prefix={}=", Path::new(workspace::root()).join("").display()),
    ];
    flags.join("\u{1f}")
}
