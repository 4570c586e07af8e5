//! Running other programs: what was run is in every error.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// The cargo that started xtask, in the workspace, for the host.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::workspace::root());
    command
}

/// The cargo that belongs to a compiler, in the workspace.
pub(crate) fn cargo_of(rustc: &Path) -> Command {
    let mut command = Command::new(rustc.with_file_name("cargo"));
    command
        .current_dir(crate::workspace::root())
        .env("RUSTC", rustc)
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Runs a program with this terminal, and fails unless it exits with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// What a program prints, or an error with what it complained about.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({}): {}", line(command), output.status, gist(&complaint));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed something that isn't UTF-8", line(command)))
}

/// Writes to standard output. A reader that went away (`| head`) has what it wanted: no error.
pub(crate) fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Whether a program is there and answers with success; it prints nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Whether a program of this name can be found.
pub(crate) fn on_path(program: &str) -> bool {
    find(program).is_some()
}

/// The program of this name that is on PATH, or in the folders of system tools, which a user's PATH may lack.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// PATH with these folders in front.
pub(crate) fn path_with(first: &[PathBuf]) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(first.iter().cloned().chain(env::split_paths(&path))).context("cannot put a folder on PATH")
}

/// The first line that calls itself an error, without the progress before it and the echoes after it.
fn gist(complaint: &str) -> &str {
    let is_error = |line: &&str| ["E: ", "error"].iter().any(|start| line.starts_with(start));
    complaint.lines().find(is_error).unwrap_or(complaint.trim())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_reported_with_its_words_and_its_complaint() {
        let mut command = Command::new("sh");
        let error = output(command.args(["-c", "echo info: trying >&2; echo error: no disk >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`sh -c ") && text.ends_with("failed (exit status: 3): error: no disk"), "{text}");
    }

    #[test]
    fn a_missing_program_is_reported_by_name() {
        let error = output(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.to_string().contains("no-such-program-here"), "{error}");
    }
}
