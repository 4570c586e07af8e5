//! `cargo xtask`: set-up, build, demonstration and tests of Sluice. A laptop and a build server run the same verbs.

mod arch;
mod bench;
mod build;
mod demo;
mod ebpf;
mod fuzz;
mod image;
mod kernel;
mod lab;
mod lint;
mod long;
mod manifests;
mod memory;
mod policy;
mod process;
mod scale;
mod setup;
mod tally;
mod test;
mod upgrade;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Set-up, build, demonstration and tests of Sluice
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    /// Find or install the toolchain of the kernel programs and the tools of the other verbs
    Setup,
    /// Measure every mode beside direct traffic: latency, throughput, programming, policies, losses
    Bench(bench::Bench),
    /// Build the kernel programs and the agent
    Build(build::Build),
    /// Show Services at work on two nodes and a client
    Demo(demo::DemoArgs),
    /// Flood a node with a million half-open connections
    Flood,
    /// Hold NetworkPolicy to its reference on clusters at random
    Fuzz(fuzz::Fuzz),
    /// Make an image of the agent for container runtimes
    Image(image::Image),
    /// Start a thousand pods under default deny and under fire
    Leak,
    /// Boot another kernel, and load and try the programs on it
    Kernel(kernel::Kernel),
    /// Look around in labs, and remove them
    Lab(lab::LabArgs),
    /// Measure the memory of an agent that follows a large cluster's API server
    Memory(memory::Memory),
    /// Make the manifests for kustomize of the Helm chart
    Manifests(manifests::Manifests),
    /// Measure what NetworkPolicy costs: connections by numbers of rules, one label's change
    Policy(policy::Policy),
    /// Measure what a cluster's size costs: first full state, restart, one endpoint's change
    Scale(scale::Scale),
    /// Check formatting, lints, documentation, licences
    Lint,
    /// Build, lint, and run every test
    Test(test::Test),
    /// Upgrade agents of the previous table version under load
    Upgrade(upgrade::Upgrade),
}

fn main() -> ExitCode {
    let done = match Verb::parse() {
        Verb::Setup => setup::run(),
        Verb::Bench(bench) => bench.run(),
        Verb::Build(build) => build.run(),
        Verb::Demo(args) => demo::run(args),
        Verb::Flood => long::run("flood"),
        Verb::Fuzz(fuzz) => fuzz.run(),
        Verb::Image(image) => image.run(),
        Verb::Leak => long::run("network_policy"),
        Verb::Kernel(kernel) => kernel.run(),
        Verb::Lab(args) => lab::run(args),
        Verb::Memory(memory) => memory.run(),
        Verb::Manifests(manifests) => manifests.run(),
        Verb::Policy(policy) => policy.run(),
        Verb::Scale(scale) => scale.run(),
        Verb::Lint => lint::run(),
        Verb::Test(test) => test.run(),
        Verb::Upgrade(upgrade) => upgrade.run(),
    };
    // Not returned from main: with RUST_BACKTRACE set, that would bury the message under our own stack.
    if let Err(error) = done {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
