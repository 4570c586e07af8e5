//! `cargo xtask`: the demonstration and its labs.

mod demo;
mod lab;

use std::process::ExitCode;

use clap::Parser;

/// The demonstration of Sluice, and its labs
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    /// Show Services at work on two nodes and a client
    Demo(demo::DemoArgs),
    /// Look around in labs, and remove them
    Lab(lab::LabArgs),
}

fn main() -> ExitCode {
    let done = match Verb::parse() {
        Verb::Demo(args) => demo::run(args),
        Verb::Lab(args) => lab::run(args),
    };
    // Not returned from main: with RUST_BACKTRACE set, that would bury the message under our own stack.
    if let Err(error) = done {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
