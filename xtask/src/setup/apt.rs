//! The distribution's packages, where the package manager is apt.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Once;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// Installs what isn't installed yet, and says so.
///
/// # Errors
/// Where there is no apt, no root, or no such package: with the command that would help.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let packages: Vec<_> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !process::on_path("apt-get") {
        bail!("there is no apt-get here: install what this distribution has for {}", packages.join(", "));
    }
    if !rustix::process::geteuid().is_root() {
        bail!("{} missing, and installing needs root: sudo {command}", packages.join(", "));
    }
    super::say(format_args!("installing {}", packages.join(" ")));
    if try_install(&packages).is_ok() {
        return Ok(());
    }
    refresh();
    try_install(&packages).with_context(|| format!("to see what is wrong: {command}"))
}

/// Whether packages for another kind of machine can be had.
///
/// # Errors
/// They can't, with the command that helps: what a machine takes packages for is its owner's to say.
pub(crate) fn require_architecture(name: &str) -> Result<()> {
    let foreign = process::output(Command::new("dpkg").arg("--print-foreign-architectures"))?;
    if foreign.lines().all(|line| line != name) {
        bail!("apt has no packages for {name} here; it will with: dpkg --add-architecture {name} && apt-get update");
    }
    Ok(())
}

/// The versions apt would install, by package; packages it doesn't know are left out.
pub(crate) fn candidates(packages: &[String]) -> BTreeMap<String, String> {
    let mut command = Command::new("apt-cache");
    process::output(command.env("LC_ALL", "C").arg("policy").args(packages))
        .map(|text| parse_policy(&text))
        .unwrap_or_default()
}

/// Names of the packages that match a regular expression.
pub(crate) fn search(pattern: &str) -> Vec<String> {
    let found = process::output(Command::new("apt-cache").args(["search", "--names-only", pattern]));
    let found = found.unwrap_or_default();
    found.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

/// Fetches the package lists, once a run: a fresh machine has none, a long-lived one old ones.
pub(crate) fn refresh() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        super::say(format_args!("fetching the package lists"));
        // An unreachable mirror among several isn't the end; what is really missing shows at the installation.
        process::succeeds(Command::new("apt-get").args(["update", "-q"]));
    });
}

/// A package that was removed but left its configuration is known to dpkg, and not installed.
fn is_installed(package: &str) -> bool {
    let query = ["--show", "--showformat", "${db:Status-Abbrev}", package];
    process::output(Command::new("dpkg-query").args(query)).is_ok_and(|status| status.starts_with("ii"))
}

/// `--no-remove`: the distribution's Rust packages conflict with its rustup and with each other, and what the user
/// installed stays.
fn try_install(packages: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.args(["install", "-y", "-q", "--no-install-recommends", "--no-remove"]).args(packages);
    process::output(&mut command).map(drop)
}

/// Reads `apt-cache policy`: a line with the package's name and a colon, then indented lines.
fn parse_policy(text: &str) -> BTreeMap<String, String> {
    let mut package = "";
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| !name.starts_with(' ')) {
            package = name;
        } else if let Some(version) = line.strip_prefix("  Candidate: ").filter(|v| *v != "(none)") {
            found.insert(package.to_owned(), version.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_read_and_packages_without_one_left_out() {
        let text = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n  Version table:\n     \
                    1.96.0+dfsg1-1~deb12u2 500\n        500 http://mirror.example/debian-security bookworm/main\n\
                    rustc-1.90:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n";
        let found = parse_policy(text);
        assert_eq!(found, BTreeMap::from([("rustc-web".to_owned(), "1.96.0+dfsg1-1~deb12u2".to_owned())]));
    }
}
