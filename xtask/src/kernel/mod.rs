//! `cargo xtask kernel`: another kernel, booted in qemu, that loads every program and serves Services and policies. It is how the
//! oldest kernel that Sluice supports is held to.

mod image;
mod machine;
mod package;
mod suites;

use anyhow::Result;
use clap::Args;

use self::image::Image;
use self::package::Package;
use crate::tally::Tally;
use crate::{build, setup, workspace};

/// Which kernel to boot.
#[derive(Args)]
pub(crate) struct Kernel {
    /// Series or release of the distribution's kernel packages; the newest one of it is booted
    #[arg(long, default_value = "6.1")]
    kernel: String,
}

impl Kernel {
    pub(crate) fn run(&self) -> Result<()> {
        setup::machine()?;
        let package = Package::fetch(&self.kernel)?;
        build::everything(setup::ebpf()?, false)?;
        let programs = suites::build()?;
        let image = Image::new(workspace::root().join("target/kernel/image"), &package)?;
        let sluice = workspace::root().join("target/debug/sluice");
        for program in programs.values().chain([&sluice, &sluice.with_file_name("lab-traffic")]) {
            image.program(program)?;
        }
        image.files(&workspace::ebpf_object())?;
        // Where the programs are loaded at all, doctor says so first.
        let doctor = format!("echo '==> doctor'\n{} doctor && echo '{DOCTOR}'\n", sluice.display());
        image.text("suites.sh", &(doctor + &suites::script(&programs)?))?;
        let initrd = image.pack()?;
        println!("booting {}", package.release);
        let mut seen = Seen::default();
        machine::boot(&package.image(), &initrd, |line| seen.line(line))?;
        seen.tally().close()
    }
}

/// Said by the machine when `sluice doctor` found nothing that keeps the agent from working.
const DOCTOR: &str = "doctor is content";

/// What the machine has told so far.
#[derive(Default)]
struct Seen {
    tests: Tally,
    doctor: bool,
}

impl Seen {
    fn line(&mut self, line: &str) {
        println!("{line}");
        self.tests += Tally::from_summary(line).unwrap_or_default();
        self.doctor |= line == DOCTOR;
    }

    /// A test that didn't run, because the machine stopped or the test has another name now, has failed.
    fn tally(&self) -> Tally {
        let mut tally = self.tests;
        tally.failed += suites::count().saturating_sub(tally.ran());
        tally += Tally::one(self.doctor);
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_stops_before_its_end_has_failed_what_it_did_not_run() {
        let mut seen = Seen::default();
        seen.line(DOCTOR);
        seen.line("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 80.02s");
        seen.line("Kernel panic - not syncing");
        assert_eq!(seen.tally(), Tally { passed: 4, failed: suites::count() - 3 });
    }

    #[test]
    fn a_doctor_that_refuses_the_machine_is_a_failure() {
        let mut seen = Seen::default();
        let all = suites::count();
        seen.line(&format!("test result: ok. {all} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"));
        assert_eq!(seen.tally(), Tally { passed: all, failed: 1 });
    }
}
