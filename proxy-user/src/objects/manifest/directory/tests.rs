use super::*;
use crate::model::fixtures::service;
use crate::model::{Change, Object};

/// Content of Services with a ClusterIP each.
fn content(services: &[(&str, &str)]) -> FileChange {
    let objects = services.iter().map(|(name, ip)| Object::Service(service(name, &[ip])));
    FileChange::Content(objects.map(|object| (object.object_ref(), object)).collect())
}

fn bad(path: &str) -> FileChange {
    FileChange::Bad(ManifestError::Read { path: path.into(), source: std::io::ErrorKind::PermissionDenied.into() })
}

/// The events as short texts.
fn apply(directory: &mut Directory, changes: Vec<(&str, FileChange)>) -> Vec<String> {
    let changes = changes.into_iter().map(|(path, change)| (PathBuf::from(path), change)).collect();
    let text = |event| match event {
        ObjectEvent::Change(Change::Apply(Object::Service(it))) => format!("{} {}", it.id.name, it.cluster_ips[0]),
        ObjectEvent::Change(Change::Delete(object)) => format!("-{}", object.name),
        ObjectEvent::Problem(problem) => format!("!{}", problem.place),
        ObjectEvent::Resolved(place) => format!("ok {place}"),
        other => format!("{other:?}"),
    };
    directory.apply(changes).into_iter().map(text).collect()
}

#[test]
fn only_what_changed_is_told() {
    let mut directory = Directory::default();
    apply(&mut directory, vec![("a", content(&[("x", "10.0.0.1"), ("y", "10.0.0.2"), ("z", "10.0.0.3")]))]);
    let events = apply(&mut directory, vec![("a", content(&[("x", "10.0.0.1"), ("y", "10.0.0.9")]))]);
    assert_eq!(events, ["y 10.0.0.9", "-z"]);
}

#[test]
fn of_two_files_with_an_object_the_first_by_path_counts_whichever_comes_first() {
    let mut directory = Directory::default();
    assert_eq!(apply(&mut directory, vec![("b", content(&[("x", "10.0.0.2")]))]), ["x 10.0.0.2"]);
    assert_eq!(apply(&mut directory, vec![("a", content(&[("x", "10.0.0.1")]))]), ["x 10.0.0.1", "!b"]);
    assert_eq!(apply(&mut directory, vec![("a", FileChange::Gone)]), ["x 10.0.0.2", "ok b"]);
}

#[test]
fn the_file_that_does_not_count_is_told_with_the_object_and_the_file_that_does() {
    let mut directory = Directory::default();
    apply(
        &mut directory,
        vec![("a", content(&[("x", "10.0.0.1")])), ("b", content(&[("x", "10.0.0.2"), ("y", "10.0.0.3")]))],
    );
    let error = directory.problem(Path::new("b")).unwrap().to_string();
    assert_eq!(error, "b: not used, as another file comes first: Service default/x (is in a)");
}

#[test]
fn a_problem_is_told_once_and_its_end_too() {
    let mut directory = Directory::default();
    assert_eq!(apply(&mut directory, vec![("a", content(&[("x", "10.0.0.1")]))]), ["x 10.0.0.1"]);
    assert_eq!(apply(&mut directory, vec![("a", bad("a"))]), ["!a"]);
    assert_eq!(apply(&mut directory, vec![("a", bad("a"))]), [""; 0]);
    assert_eq!(apply(&mut directory, vec![("a", content(&[("x", "10.0.0.1")]))]), ["ok a"]);
}

#[test]
fn a_bad_file_that_goes_takes_its_last_good_content_with_it() {
    let mut directory = Directory::default();
    apply(&mut directory, vec![("a", content(&[("x", "10.0.0.1")]))]);
    apply(&mut directory, vec![("a", bad("a"))]);
    assert_eq!(apply(&mut directory, vec![("a", FileChange::Gone)]), ["-x", "ok a"]);
}

#[test]
fn an_object_that_moves_between_files_in_one_moment_is_not_deleted() {
    let mut directory = Directory::default();
    apply(&mut directory, vec![("a", content(&[("x", "10.0.0.1")]))]);
    let moved = vec![("a", FileChange::Gone), ("b", content(&[("x", "10.0.0.1")]))];
    assert_eq!(apply(&mut directory, moved), [""; 0]);
}
