//! Real files in a real directory; the time-out is generous, as only what happens is tested here and not how fast.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::model::{Change, Object};
use crate::objects::Problems;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A watched directory, and what the events told so far add up to.
struct Watched {
    dir: TempDir,
    source: ManifestSource,
    cluster_ips: BTreeMap<String, String>,
    problems: Problems,
    deletions: usize,
}

impl Watched {
    /// Starts with these files.
    fn with(files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        Self::at(dir)
    }

    fn at(dir: TempDir) -> Self {
        let (source, events) = ManifestSource::new(dir.path()).unwrap();
        Self::new(dir, source, events)
    }

    fn new(dir: TempDir, source: ManifestSource, events: Vec<ObjectEvent>) -> Self {
        assert!(matches!(events.last(), Some(ObjectEvent::Synced)), "{events:?}");
        let problems = Problems::default();
        let mut watched = Self { dir, source, cluster_ips: BTreeMap::new(), problems, deletions: 0 };
        watched.record(events);
        watched
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn record(&mut self, events: Vec<ObjectEvent>) {
        for event in events {
            self.problems.record(&event);
            match event {
                ObjectEvent::Change(Change::Apply(Object::Service(service))) => {
                    let ip = service.cluster_ips.first().map(ToString::to_string).unwrap_or_default();
                    self.cluster_ips.insert(service.id.name, ip);
                }
                ObjectEvent::Change(Change::Delete(object)) => {
                    self.cluster_ips.remove(&object.name);
                    self.deletions += 1;
                }
                _ => {}
            }
        }
    }

    /// Waits until the Services, by name and ClusterIP, are these.
    fn expect(&mut self, services: &[(&str, &str)]) {
        let wanted: BTreeMap<String, String> =
            services.iter().map(|(name, ip)| ((*name).to_owned(), (*ip).to_owned())).collect();
        self.wait("services", |it| it.cluster_ips == wanted);
    }

    /// Waits until these parts stand in the problems, each in one.
    fn expect_problems(&mut self, parts: &[&str]) {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        self.wait("problems", |it| {
            let problems: Vec<String> = it.problems.iter().map(|(_, error)| error.to_string()).collect();
            problems.len() == parts.len() && problems.iter().zip(&parts).all(|(problem, part)| problem.contains(part))
        });
    }

    fn wait(&mut self, what: &str, is_met: impl Fn(&Self) -> bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        while !is_met(self) {
            let next = runtime.block_on(async { tokio::time::timeout(TIMEOUT, self.source.next()).await });
            let Ok(Some(Batch { events, .. })) = next else {
                panic!("{what} never came: {:?} {:?}", self.cluster_ips, self.problems);
            };
            self.record(events);
        }
    }
}

fn service(name: &str, ip: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{clusterIP: {ip}, ports: [{{port: 80}}]}}\n"
    )
}

#[test]
fn what_is_there_at_the_start_is_told_at_once() {
    let watched = Watched::with(&[("a.yaml", &service("a", "10.0.0.1")), ("b.yml", &service("b", "10.0.0.2"))]);
    assert_eq!(watched.cluster_ips.len(), 2);
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let error = ManifestSource::new("/nonexistent/manifests").unwrap_err().to_string();
    assert!(error.contains("/nonexistent/manifests") && error.contains("No such file"), "{error}");
}

#[test]
fn files_that_come_change_and_go_are_followed() {
    let mut watched = Watched::with(&[]);
    watched.write("a.yaml", &service("a", "10.0.0.1"));
    watched.expect(&[("a", "10.0.0.1")]);
    watched.write("a.yaml", &service("a", "10.0.0.2"));
    watched.expect(&[("a", "10.0.0.2")]);
    fs::remove_file(watched.path("a.yaml")).unwrap();
    watched.expect(&[]);
}

#[test]
fn a_file_that_is_renamed_into_place_counts_and_never_goes_in_between() {
    let mut watched = Watched::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    for n in 2..20 {
        let ip = format!("10.0.0.{n}");
        watched.write("a.yaml.tmp", &service("a", &ip));
        fs::rename(watched.path("a.yaml.tmp"), watched.path("a.yaml")).unwrap();
        watched.expect(&[("a", &ip)]);
    }
    assert_eq!(watched.deletions, 0);
}

#[test]
fn an_object_that_moves_to_another_file_is_not_deleted_in_between() {
    let mut watched = Watched::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    fs::rename(watched.path("a.yaml"), watched.path("b.yaml")).unwrap();
    watched.write("c.yaml", &service("c", "10.0.0.3"));
    watched.expect(&[("a", "10.0.0.1"), ("c", "10.0.0.3")]);
    assert_eq!(watched.deletions, 0);
}

#[test]
fn a_file_that_is_still_being_written_is_left_alone() {
    let mut watched = Watched::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    let mut file = fs::File::create(watched.path("a.yaml")).unwrap();
    watched.write("b.yaml", &service("b", "10.0.0.2"));
    watched.expect(&[("a", "10.0.0.1"), ("b", "10.0.0.2")]);
    file.write_all(service("a", "10.0.0.9").as_bytes()).unwrap();
    drop(file);
    watched.expect(&[("a", "10.0.0.9"), ("b", "10.0.0.2")]);
    assert_eq!(watched.deletions, 0);
}

#[test]
fn directories_below_count_also_when_they_come_later() {
    let mut watched = Watched::with(&[]);
    fs::create_dir_all(watched.path("x/y")).unwrap();
    watched.write(
        "x/y/a.json",
        r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":"10.0.0.1"}}"#,
    );
    watched.expect(&[("a", "10.0.0.1")]);
    watched.write("x/y/b.yaml", &service("b", "10.0.0.2"));
    watched.expect(&[("a", "10.0.0.1"), ("b", "10.0.0.2")]);
    fs::remove_dir_all(watched.path("x")).unwrap();
    watched.expect(&[]);
}

#[test]
fn files_of_editors_and_others_do_not_count() {
    let bad = "not: [a manifest";
    let hidden = [(".a.yaml", bad), ("a.yaml~", bad), (".a.yaml.swp", bad), ("4913", bad), ("README.md", bad)];
    let mut watched = Watched::with(&hidden);
    symlink("nowhere", watched.path(".#a.yaml")).unwrap();
    symlink("nowhere", watched.path("dangling.yaml")).unwrap();
    watched.write("b.yaml", &service("b", "10.0.0.2"));
    watched.expect(&[("b", "10.0.0.2")]);
    watched.expect_problems(&[]);
}

#[test]
fn a_bad_file_leaves_its_last_good_content_and_all_else_goes_on() {
    let mut watched = Watched::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    watched.write("a.yaml", &service("a", "10.0.0"));
    watched
        .expect_problems(&["a.yaml: document 1: Service default/a: spec.clusterIP: \"10.0.0\" is not an IP address"]);
    watched.write("b.yaml", &service("b", "10.0.0.2"));
    watched.expect(&[("a", "10.0.0.1"), ("b", "10.0.0.2")]);
    watched.write("a.yaml", &service("a", "10.0.0.3"));
    watched.expect(&[("a", "10.0.0.3"), ("b", "10.0.0.2")]);
    watched.expect_problems(&[]);
}

#[test]
fn a_bad_file_at_the_start_is_told_and_good_once_it_is_mended() {
    let mut watched = Watched::with(&[("a.yaml", "kind: ["), ("b.yaml", &service("b", "10.0.0.2"))]);
    watched.expect(&[("b", "10.0.0.2")]);
    watched.expect_problems(&["a.yaml: document 1: "]);
    fs::remove_file(watched.path("a.yaml")).unwrap();
    watched.expect_problems(&[]);
}

/// Mounts a `ConfigMap` with one file as the kubelet does: visible links lead through `..data`, which is swapped.
fn mount_config_map(dir: &Path, version: &str, content: &str) {
    fs::create_dir(dir.join(version)).unwrap();
    fs::write(dir.join(version).join("a.yaml"), content).unwrap();
    symlink(version, dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
}

#[test]
fn a_mounted_config_map_is_read_once_and_followed_when_it_is_swapped() {
    let dir = TempDir::new().unwrap();
    mount_config_map(dir.path(), "..2026_01", &service("a", "10.0.0.1"));
    symlink("..data/a.yaml", dir.path().join("a.yaml")).unwrap();
    let mut watched = Watched::at(dir);
    watched.expect(&[("a", "10.0.0.1")]);
    watched.expect_problems(&[]);
    mount_config_map(watched.dir.path(), "..2026_02", &service("a", "10.0.0.2"));
    fs::remove_dir_all(watched.path("..2026_01")).unwrap();
    watched.expect(&[("a", "10.0.0.2")]);
    assert_eq!(watched.deletions, 0);
}

#[test]
fn a_linked_directory_is_followed() {
    let outside = TempDir::new().unwrap();
    let mut watched = Watched::with(&[]);
    fs::write(outside.path().join("a.yaml"), service("a", "10.0.0.1")).unwrap();
    symlink(outside.path(), watched.path("linked")).unwrap();
    watched.expect(&[("a", "10.0.0.1")]);
    fs::write(outside.path().join("a.yaml"), service("a", "10.0.0.2")).unwrap();
    watched.expect(&[("a", "10.0.0.2")]);
}

#[test]
fn a_directory_that_is_itself_a_link_is_followed_when_it_is_swapped() {
    let parent = TempDir::new().unwrap();
    for (version, ip) in [("one", "10.0.0.1"), ("two", "10.0.0.2")] {
        fs::create_dir(parent.path().join(version)).unwrap();
        fs::write(parent.path().join(version).join("a.yaml"), service("a", ip)).unwrap();
    }
    symlink("one", parent.path().join("current")).unwrap();
    let (source, events) = ManifestSource::new(parent.path().join("current")).unwrap();
    let mut watched = Watched::new(parent, source, events);
    watched.expect(&[("a", "10.0.0.1")]);
    symlink("two", watched.path("next")).unwrap();
    fs::rename(watched.path("next"), watched.path("current")).unwrap();
    watched.expect(&[("a", "10.0.0.2")]);
    watched.write("two/a.yaml", &service("a", "10.0.0.3"));
    watched.expect(&[("a", "10.0.0.3")]);
}

#[test]
fn a_loop_of_links_is_one_error_and_all_else_goes_on() {
    let mut watched = Watched::with(&[("a.yaml", &service("a", "10.0.0.1"))]);
    symlink(".", watched.path("loop")).unwrap();
    watched.expect_problems(&["loop: cannot be read"]);
    watched.expect(&[("a", "10.0.0.1")]);
}

#[test]
fn a_directory_that_is_replaced_is_watched_again_and_keeps_its_content_meanwhile() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("manifests");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("a.yaml"), service("a", "10.0.0.1")).unwrap();
    let (source, events) = ManifestSource::new(&dir).unwrap();
    let mut watched = Watched::new(parent, source, events);
    fs::remove_dir_all(&dir).unwrap();
    watched.expect_problems(&["manifests: cannot be read: No such file"]);
    watched.expect(&[("a", "10.0.0.1")]);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("a.yaml"), service("a", "10.0.0.2")).unwrap();
    watched.expect(&[("a", "10.0.0.2")]);
    watched.expect_problems(&[]);
}

#[test]
fn changes_take_effect_while_another_file_never_rests() {
    let mut watched = Watched::with(&[]);
    let busy = watched.path("busy.yaml");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        while stopped
            .recv_timeout(Duration::from_millis(2))
            .is_err_and(|it| it == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            fs::write(&busy, "# nothing\n").unwrap();
        }
    });
    watched.write("a.yaml", &service("a", "10.0.0.1"));
    watched.expect(&[("a", "10.0.0.1")]);
    drop(stop);
    writer.join().unwrap();
}
