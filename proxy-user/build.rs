//! Embeds the kernel programs, where `cargo xtask build` has built them. Without them everything else still builds, so that
//! work on user space doesn't need their toolchain.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs, io};

const OBJECT: &str = "SLUICE_EBPF_OBJECT";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-env-changed={OBJECT}");
    let object = env::var_os(OBJECT).map_or_else(default_object, PathBuf::from);
    println!("cargo:rerun-if-changed={}", object.display());

    let programs = match fs::read(&object) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && env::var_os(OBJECT).is_none() => placeholder(&object),
        Err(error) => panic!("cannot read the kernel programs from {} ({OBJECT} sets it): {error}", object.display()),
        Ok(programs) => programs,
    };
    if programs.is_empty() {
        println!(
            "cargo:warning=the kernel programs are not built: this sluice can't run an agent; `cargo xtask build` builds them"
        );
    }
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("sluice-ebpf.o"), programs)
}

/// Where `cargo xtask build` puts the object.
fn default_object() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    Path::new(&package).with_file_name("target/bpf/sluice-ebpf.o")
}

/// Stands in for the missing object, older than any build: cargo takes an absent file for a changed one, and would build the
/// crate anew each time. Where it can't be written, that is all that happens.
fn placeholder(object: &Path) -> Vec<u8> {
    let folder = object.parent().expect("the object is in a folder");
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::File::create(object))
        .and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH));
    drop(written);
    Vec::new()
}
