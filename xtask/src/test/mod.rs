//! `cargo xtask test`: build, lint and every test, and one closing line over all of them.

pub(crate) mod suite;
mod targets;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::tally::Tally;
use crate::{build, lint, setup};

/// Which tests to run.
#[derive(Args)]
pub(crate) struct Test {
    /// Run only the tests whose name contains this (and nothing of `lint`)
    filter: Option<String>,
    /// Run only these groups; may be repeated
    #[arg(long)]
    only: Vec<Group>,
    /// Run the suites of Services and policies in every combination of attaching pods and serving, not each once
    #[arg(long)]
    all_configurations: bool,
}

/// What is run, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Formatting, clippy, documentation, licences
    Lint,
    /// Unit and property tests; need no root
    Unit,
    /// The kernel programs on crafted packets (`BPF_PROG_TEST_RUN`)
    Program,
    /// Real sockets between network namespaces
    Lab,
}

impl Group {
    fn is_privileged(self) -> bool {
        matches!(self, Self::Program | Self::Lab)
    }
}

impl Test {
    pub(crate) fn run(&self) -> Result<()> {
        let groups = self.groups();
        let privileged = groups.iter().any(|group| group.is_privileged());
        if privileged && !rustix::process::geteuid().is_root() {
            bail!(
                "the program and lab tests load kernel programs and make network namespaces, so they need root. Either: \
                 sudo --preserve-env=HOME,PATH cargo xtask test, or without them: cargo xtask test --only lint --only unit"
            );
        }
        if privileged {
            setup::network()?;
            if let Err(error) = build::everything(setup::ebpf()?, false) {
                println!("the build failed, so nothing was tested: {error:#}");
                return Tally::one(false).close();
            }
        }
        let mut total = Tally::default();
        for group in groups {
            total += self.run_group(group)?;
        }
        ensure!(total.ran() > 0, "no test has \"{}\" in its name", self.filter.as_deref().unwrap_or_default());
        total.close()
    }

    fn run_group(&self, group: Group) -> Result<Tally> {
        println!("==> {group:?}");
        let filter = self.filter.as_deref();
        let tally = match group {
            Group::Lint => lint::check()?,
            Group::Unit => suite::unit(filter)?,
            Group::Program => suite::program(filter)?,
            Group::Lab => suite::lab(filter, self.all_configurations)?,
        };
        // Tests that silently don't run would look like tests that pass.
        if filter.is_none() && tally.ran() == 0 {
            println!("no {group:?} test ran, which counts as a failure");
            return Ok(Tally::one(false));
        }
        Ok(tally)
    }

    fn groups(&self) -> Vec<Group> {
        let chosen = |group: &Group| match (self.only.is_empty(), &self.filter) {
            (true, None) => true,
            (true, Some(_)) => *group != Group::Lint,
            (false, _) => self.only.contains(group),
        };
        Group::value_variants().iter().copied().filter(chosen).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_choice_every_group_runs_and_a_filter_leaves_out_lint() {
        let all = Test { filter: None, only: vec![], all_configurations: false };
        assert_eq!(all.groups(), [Group::Lint, Group::Unit, Group::Program, Group::Lab]);
        let filtered = Test { filter: Some("nat".to_owned()), only: vec![], all_configurations: false };
        assert_eq!(filtered.groups(), [Group::Unit, Group::Program, Group::Lab]);
    }

    #[test]
    fn chosen_groups_run_in_the_fixed_order() {
        let some = Test { filter: None, only: vec![Group::Lab, Group::Unit], all_configurations: false };
        assert_eq!(some.groups(), [Group::Unit, Group::Lab]);
    }
}
