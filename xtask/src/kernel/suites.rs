//! What is run on the other kernel: programs load slowly there, so one test for each thing that kernels differ in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::process;
use crate::test::suite::cargo_test;

/// Tests of one target of the suites, by their full names.
pub(super) struct Suite {
    pub(super) target: &'static str,
    tests: &'static [&'static str],
}

/// In the order in which they run.
pub(super) const SUITES: [Suite; 3] = [
    Suite {
        target: "loader",
        tests: &[
            "clsact::the_next_agent_replaces_the_program_in_its_filter",
            "clsact::filters_go_with_clean_up_and_those_of_others_stay",
            "clsact::an_interface_that_is_gone_is_no_error",
            "tables::more_writes_of_a_kind_than_go_at_once_are_all_read_by_the_next_agent",
            "tables::the_sweep_removes_what_is_over_and_asks_the_kernel_last",
        ],
    },
    Suite {
        target: "program",
        tests: &[
            "answer::a_datagram_to_a_service_without_endpoints_is_told_port_unreachable",
            "answer::a_packet_too_large_for_the_way_to_the_backend_is_told_what_fits",
            "event::a_drop_is_told_to_whom_it_concerns",
            "fragment::fragments_that_come_before_their_first_wait_and_the_first_is_itself_after_it_released_them",
            "icmp::what_the_backend_says_of_a_pods_packet_reaches_the_pod_as_from_the_service",
            "policy::rules_tell_classes_ports_and_protocols_apart",
            "sctp::a_source_port_that_is_taken_is_exchanged_too",
            "service::options_and_extension_headers_stay_and_every_checksum_is_right",
            "sweep::a_full_message_is_read_to_its_end",
            "tunnel::a_packet_from_a_tunnel_reaches_the_wire_of_a_pod",
        ],
    },
    Suite {
        target: "smoke",
        tests: &[
            "services_and_policies_with_translation_at_the_socket",
            "services_and_policies_with_translation_packet_by_packet",
        ],
    },
];

/// How many tests there are.
pub(super) fn count() -> u64 {
    SUITES.iter().map(|suite| suite.tests.len() as u64).sum()
}

/// Builds the targets; their programs by name.
pub(super) fn build() -> Result<BTreeMap<String, PathBuf>> {
    let mut command = cargo_test();
    command.args(["--no-run", "--message-format", "json-render-diagnostics"]);
    command.args(SUITES.iter().flat_map(|suite| ["--test", suite.target]));
    let messages = process::output(&mut command)?;
    let built: Vec<Message> = serde_json::Deserializer::from_str(&messages)
        .into_iter()
        .collect::<Result<_, _>>()
        .context("cannot read what `cargo test --message-format json` says")?;
    Ok(built.into_iter().filter_map(|message| Some((message.target?.name, message.executable?))).collect())
}

/// The script that runs them. `exact`, so that a test that is renamed is missed; `nocapture`, as nobody wants to wait for the
/// end of the suite to see why its first test failed.
pub(super) fn script(programs: &BTreeMap<String, PathBuf>) -> Result<String> {
    let mut script = format!("export LAB_PATIENCE={PATIENCE}\n");
    for Suite { target, tests } in SUITES {
        let program = programs.get(target).with_context(|| format!("cargo built no test called {target}"))?;
        let tests = tests.join(" ");
        writeln!(
            script,
            "echo '==> {target}'\n{} --exact --nocapture --test-threads=1 {tests} 2>&1",
            program.display()
        )?;
    }
    Ok(script)
}

/// How many times as long as on a processor everything may take.
const PATIENCE: u32 = 10;

/// A line of cargo's. Others have none of it.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}
