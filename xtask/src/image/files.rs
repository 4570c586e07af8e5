//! What is in the image: the agent, and the little that its C library and its licences ask for.
//!
//! An image whose agent runs the iptables tools as well would take those, their libraries and so another base: that
//! would be a second `Files` here, and a second last stage in `deploy/Dockerfile`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::ENTRYPOINT;
use super::archive::Archive;
use crate::workspace;

/// What the C library does without it depends on its release.
const NSSWITCH: &[u8] = b"hosts: files dns\n";
/// Folders that no file brings along. /proc, /sys and /dev come from the container runtime.
const FOLDERS: [(&str, u32); 2] = [("run", 0o755), ("tmp", 0o1777)];

/// The files of an image, by path without the leading slash; folders come before what is in them.
pub(super) struct Files(Vec<File>);

struct File {
    path: String,
    mode: u32,
    /// `None` for a folder.
    contents: Option<Vec<u8>>,
}

impl Files {
    pub(super) fn new(binary: &Path) -> Result<Self> {
        let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let licence = |name: &str| {
            Ok::<_, anyhow::Error>((format!("usr/share/doc/sluice/{name}"), read(&workspace::root().join(name))?))
        };
        let (apache, gpl) = (licence("LICENSE-APACHE")?, licence("LICENSE-GPL2")?);
        let documents = [("etc/nsswitch.conf".to_owned(), NSSWITCH.to_vec()), apache, gpl];
        let documents = documents.map(|(path, contents)| File { path, mode: 0o644, contents: Some(contents) });
        let program =
            File { path: ENTRYPOINT.trim_start_matches('/').to_owned(), mode: 0o755, contents: Some(read(binary)?) };
        let mut all: Vec<_> = documents.into_iter().chain([program]).collect();
        let parents = all.iter().flat_map(|file| Path::new(&file.path).ancestors().skip(1));
        let parents = parents.filter_map(|path| path.to_str()).filter(|path| !path.is_empty());
        let folders: Vec<_> = FOLDERS.into_iter().chain(parents.map(|path| (path, 0o755))).collect();
        let folders: Vec<_> =
            folders.into_iter().map(|(path, mode)| File { path: path.to_owned(), mode, contents: None }).collect();
        all.extend(folders);
        // A folder's path is the start of its files' paths, so it comes first.
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all.dedup_by(|a, b| a.path == b.path);
        Ok(Self(all))
    }

    /// The files as a tar; `time` is seconds since 1970.
    pub(super) fn archive(&self, time: u64) -> Result<Vec<u8>> {
        let mut archive = Archive::new(Vec::new(), time);
        for File { path, mode, contents } in &self.0 {
            match contents {
                None => archive.folder(path, *mode)?,
                Some(contents) => archive.file(path, *mode, contents)?,
            }
        }
        archive.finish()
    }

    /// Writes them below a directory, which is made.
    pub(super) fn write(&self, root: &Path) -> Result<()> {
        fs::create_dir(root)
            .with_context(|| format!("cannot make {}; it has to be a new directory", root.display()))?;
        for File { path, mode, contents } in &self.0 {
            let path = root.join(path);
            let written = match contents {
                None => fs::create_dir(&path),
                Some(contents) => fs::write(&path, contents),
            };
            written
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(*mode)))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}
