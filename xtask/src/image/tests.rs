use std::collections::BTreeMap;
use std::io::Read as _;

use jiff::Timestamp;

use super::*;

const TIME: i64 = 1_700_000_000;

fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("sluice");
    fs::write(&binary, "a program").unwrap();
    Files::new(&binary).unwrap()
}

fn origin() -> Origin {
    Origin { time: Timestamp::from_second(TIME).unwrap(), revision: Some("abc-dirty".into()) }
}

fn layout(arch: Arch) -> Layout {
    Layout::new(&files(), arch, "registry.example/net/sluice:1.2", &origin()).unwrap()
}

#[test]
fn the_same_files_make_the_same_image() {
    let (one, other) = (layout(Arch::Amd64).archive().unwrap(), layout(Arch::Amd64).archive().unwrap());
    assert!(one == other);
    assert_ne!(layout(Arch::Amd64).digest(), layout(Arch::Arm64).digest());
}

#[test]
fn the_documents_lead_to_the_program_by_hashes_that_fit() {
    let layout = Layout::read(&layout(Arch::Arm64).archive().unwrap()).unwrap();
    let (config, files) = layout.unpack().unwrap();
    assert_eq!((config.architecture().to_string(), config.os().to_string()), ("arm64".to_owned(), "linux".to_owned()));
    assert_eq!(config.created().as_deref(), Some("2023-11-14T22:13:20Z"));
    let labels = config.labels_of_config().unwrap();
    assert_eq!(labels["org.opencontainers.image.revision"], "abc-dirty");
    let config = config.config().as_ref().unwrap();
    let entrypoint = config.entrypoint().clone().unwrap();

    let mut archive = tar::Archive::new(files.as_slice());
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, u64::try_from(TIME).unwrap()));
        let mut contents = String::new();
        entry.read_to_string(&mut contents).unwrap();
        found.insert(format!("/{}", entry.path().unwrap().display()), (header.mode().unwrap(), contents));
    }
    assert_eq!(found[&entrypoint[0]], (0o755, "a program".to_owned()));
    assert_eq!(found["/tmp/"].0, 0o1777);
    assert!(found["/usr/share/doc/sluice/LICENSE-GPL2"].1.contains("GNU GENERAL PUBLIC LICENSE"));
}

#[test]
fn a_blob_that_was_changed_is_refused() {
    let mut archive = layout(Arch::Amd64).archive().unwrap();
    let place = archive.windows(6).position(|bytes| bytes == b"diff_i").unwrap();
    archive[place] = b'D';
    assert!(Layout::read(&archive).is_err());
}

#[test]
fn a_runtime_gets_the_name_and_the_kind_of_machine() {
    let archive = layout(Arch::Amd64).archive().unwrap();
    let mut archive = tar::Archive::new(archive.as_slice());
    let mut index =
        archive.entries().unwrap().map(Result::unwrap).find(|it| it.path().unwrap().ends_with("index.json"));
    let index: serde_json::Value = serde_json::from_reader(index.as_mut().unwrap()).unwrap();
    let manifest = &index["manifests"][0];
    assert_eq!(manifest["platform"], serde_json::json!({"architecture": "amd64", "os": "linux"}));
    assert_eq!(manifest["annotations"]["io.containerd.image.name"], "registry.example/net/sluice:1.2");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.ref.name"], "1.2");
}

#[test]
fn the_files_can_be_written_to_a_new_directory_and_to_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    files().write(&root).unwrap();
    assert_eq!(fs::read(root.join("usr/local/bin/sluice")).unwrap(), b"a program");
    assert!(files().write(&root).is_err());
}

#[test]
fn the_dockerfile_says_of_its_image_what_this_says() {
    let dockerfile = fs::read_to_string(workspace::root().join("deploy/Dockerfile")).unwrap();
    let (config, _) = layout(Arch::Amd64).unpack().unwrap();
    let labels = config.labels_of_config().unwrap();
    for name in ["title", "description", "licenses"].map(|name| format!("org.opencontainers.image.{name}")) {
        assert!(dockerfile.contains(&format!("{name}=\"{}\"", labels[&name])), "{name}");
    }
    let config = config.config().as_ref().unwrap();
    let entrypoint =
        format!("\nENTRYPOINT {}\n", serde_json::to_string(config.entrypoint().as_ref().unwrap()).unwrap());
    assert!(dockerfile.contains(&entrypoint), "{entrypoint}");
    for variable in config.env().iter().flatten() {
        assert!(dockerfile.contains(&format!("\nENV {variable}\n")), "{variable}");
    }
}
