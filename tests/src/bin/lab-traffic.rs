//! Servers and clients of the lab: `lab-traffic JOB`, a job as JSON. See `lab::traffic`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let job = argument.as_deref().ok_or_else(|| "no job given".to_owned());
    match job.and_then(|job| serde_json::from_str(job).map_err(|error| error.to_string())) {
        Ok(job) => lab::traffic::run(&job).unwrap_or_else(|error| {
            eprintln!("lab-traffic: {error}");
            ExitCode::FAILURE
        }),
        Err(problem) => {
            eprintln!("lab-traffic: {problem}; usage: lab-traffic JOB (JSON of lab::traffic::Job)");
            ExitCode::from(2)
        }
    }
}
