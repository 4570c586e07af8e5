use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A directory with these files, looked at once.
fn looked_at(files: &[&str]) -> (TempDir, Scanner) {
    let dir = TempDir::new().unwrap();
    for name in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let mut scanner = Scanner::new(dir.path().to_owned());
    scanner.scan(&Hints::default());
    (dir, scanner)
}

/// Names of the files that a look after notifications about `touched` finds changed.
fn changed(dir: &TempDir, scanner: &mut Scanner, touched: &[&str]) -> Vec<String> {
    let touched = touched.iter().map(|name| dir.path().join(name)).collect();
    let changes = scanner.scan(&Hints { touched, only_touched: true, ..Hints::default() });
    let name = |path: &Path| path.strip_prefix(dir.path()).unwrap().display().to_string();
    let mut names: Vec<_> = changes.iter().map(|(path, _)| name(path)).collect();
    names.sort();
    names
}

fn edit(dir: &TempDir, name: &str) {
    fs::write(dir.path().join(name), "# edited").unwrap();
}

#[test]
fn a_file_that_was_touched_is_read_and_no_other_is_looked_at() {
    let (dir, mut scanner) = looked_at(&["a.yaml", "b.yaml"]);
    edit(&dir, "a.yaml");
    edit(&dir, "b.yaml");
    assert_eq!(changed(&dir, &mut scanner, &["a.yaml"]), ["a.yaml"]);
    assert_eq!(changed(&dir, &mut scanner, &["a.yaml", "b.yaml"]), ["a.yaml", "b.yaml"]);
}

#[test]
fn a_file_that_comes_and_goes_is_known_from_its_own_notification() {
    let (dir, mut scanner) = looked_at(&["a.yaml"]);
    edit(&dir, "b.yaml");
    assert_eq!(changed(&dir, &mut scanner, &["b.yaml"]), ["b.yaml"]);
    fs::remove_file(dir.path().join("b.yaml")).unwrap();
    assert_eq!(changed(&dir, &mut scanner, &["b.yaml"]), ["b.yaml"]);
    assert_eq!(changed(&dir, &mut scanner, &["b.yaml"]), Vec::<String>::new());
    assert_eq!(scanner.known.len(), 1);
}

#[test]
fn files_that_do_not_count_cost_no_look_at_others() {
    let (dir, mut scanner) = looked_at(&["a.yaml", ".hidden/c.yaml"]);
    edit(&dir, "a.yaml");
    edit(&dir, "a.next");
    assert_eq!(changed(&dir, &mut scanner, &["a.next", "gone.swp", ".hidden/c.yaml"]), Vec::<String>::new());
}

#[test]
fn a_directory_that_came_or_went_has_everything_looked_at() {
    let (dir, mut scanner) = looked_at(&["a.yaml", "below/b.yaml"]);
    fs::rename(dir.path().join("below"), dir.path().join("other")).unwrap();
    assert_eq!(changed(&dir, &mut scanner, &["below"]), ["below/b.yaml", "other/b.yaml"]);
    fs::rename(dir.path().join("other"), dir.path().join("below")).unwrap();
    assert_eq!(changed(&dir, &mut scanner, &["below"]), ["below/b.yaml", "other/b.yaml"]);
}

#[test]
fn with_links_about_everything_is_looked_at() {
    let (dir, mut scanner) = looked_at(&["a.yaml"]);
    symlink(dir.path().join("a.yaml"), dir.path().join("link.yaml")).unwrap();
    assert_eq!(changed(&dir, &mut scanner, &["link.yaml"]), ["link.yaml"]);
    edit(&dir, "a.yaml");
    assert_eq!(changed(&dir, &mut scanner, &["a.yaml"]), ["a.yaml", "link.yaml"]);
}
