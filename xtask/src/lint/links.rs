//! Every place of the workspace that a page of documentation links to exists: the file, and the heading in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

pub(super) fn check() -> Result<()> {
    let root = workspace::root();
    let mut pages = BTreeMap::new();
    for file in workspace::pages()? {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        pages.insert(file.strip_prefix(root).unwrap_or(&file).to_owned(), text);
    }
    let dead = dead(&pages, &|path| root.join(path).exists());
    if dead.is_empty() { Ok(()) } else { bail!("{}", dead.join("; ")) }
}

/// What pages, by their paths in the workspace, link to in vain. `exists` is asked about paths in the workspace.
fn dead(pages: &BTreeMap<PathBuf, String>, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut dead = Vec::new();
    for (page, text) in pages {
        for target in targets(text) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = if path.is_empty() { page.clone() } else { normal(&page.with_file_name("").join(path)) };
            let has_anchor = |text: &String| anchors(text).any(|it| it == anchor);
            let found = exists(&to) && (anchor.is_empty() || pages.get(&to).is_some_and(has_anchor));
            if !found {
                dead.push(format!("{} links to {target}, which isn't there", page.display()));
            }
        }
    }
    dead
}

/// What a page links to in the workspace. Blocks of code have no links.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let links = prose(text).flat_map(|line| line.split("](").skip(1));
    links.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).filter(|target| !target.contains(':'))
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = prose(text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(|heading| {
        let kept = heading.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
        kept.map(|it| if it == ' ' { '-' } else { it.to_ascii_lowercase() }).collect()
    })
}

fn prose(text: &str) -> impl Iterator<Item = &str> {
    // Every other piece is a block of code.
    text.split("```").step_by(2).flat_map(str::lines)
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = normal.pop(),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead_links_of(text: &str) -> Vec<String> {
        let other = "# Other page\n## What it isn't: `a-b`\n```text\n# no heading\n```\n";
        let pages = [("docs/page.md", text), ("README.md", other)];
        let pages = pages.map(|(path, text)| (path.into(), text.to_owned())).into();
        dead(&pages, &|path| ["docs/page.md", "README.md", "docs", "src/lib.rs"].iter().any(|it| path == Path::new(it)))
    }

    #[test]
    fn links_to_files_and_headings_that_exist_are_fine() {
        let text = "# Page\n[a](../README.md) [b](../README.md#what-it-isnt-a-b), [c](#page) [d](../src/lib.rs) [e](../docs)\n\
                    [elsewhere](https://example.com/none)\n```text\n[no link](none.md)\n```\n";
        assert_eq!(dead_links_of(text), [""; 0]);
    }

    #[test]
    fn a_link_to_a_file_or_heading_that_is_not_there_is_told() {
        for target in ["none.md", "README.md", "#none", "../README.md#no-heading", "../README.md#what-it-is"] {
            let complaint = format!("docs/page.md links to {target}, which isn't there");
            assert_eq!(dead_links_of(&format!("# Page\n[a]({target})\n")), [complaint]);
        }
    }
}
