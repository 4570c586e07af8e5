//! The documents of an image, by the Open Container Initiative's image specification 1.1.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use oci_spec::image::{
    Arch as OciArch, ConfigBuilder, Descriptor, HistoryBuilder, ImageConfiguration, ImageConfigurationBuilder,
    ImageIndex, ImageIndexBuilder, ImageManifest, ImageManifestBuilder, MediaType, OciLayoutBuilder, Os,
    PlatformBuilder, RootFsBuilder,
};
use serde::Serialize;

use super::archive::Archive;
use super::blobs::{Blobs, sha256};
use super::files::Files;
use super::origin::Origin;
use super::{ENTRYPOINT, PATH};
use crate::arch::Arch;

const LAYOUT: &str = "oci-layout";
const INDEX: &str = "index.json";
const SCHEMA_VERSION: u32 = 2;

/// An image.
pub(super) struct Layout {
    /// Of all files in the tar.
    time: u64,
    index: ImageIndex,
    blobs: Blobs,
}

impl Layout {
    pub(super) fn new(files: &Files, arch: Arch, tag: &str, origin: &Origin) -> Result<Self> {
        let mut blobs = Blobs::default();
        let layer = files.archive(origin.seconds())?;
        let config = document(&configuration(arch, &sha256(&layer), origin)?)?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(MediaType::ImageManifest)
            .config(blobs.add(MediaType::ImageConfig, config)?)
            .layers([blobs.add(MediaType::ImageLayerGzip, compressed(&layer)?)?])
            .build()?;
        let mut manifest = blobs.add(MediaType::ImageManifest, document(&manifest)?)?;
        manifest.set_platform(Some(PlatformBuilder::default().os(Os::Linux).architecture(oci(arch)).build()?));
        manifest.set_annotations(Some(names(tag)));
        let index = ImageIndexBuilder::default().schema_version(SCHEMA_VERSION).media_type(MediaType::ImageIndex);
        Ok(Self { time: origin.seconds(), index: index.manifests([manifest]).build()?, blobs })
    }

    /// The image as one file.
    pub(super) fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = Archive::new(Vec::new(), self.time);
        let version = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?;
        archive.file(LAYOUT, 0o644, &document(&version)?)?;
        archive.file(INDEX, 0o644, &document(&self.index)?)?;
        archive.folder("blobs", 0o755)?;
        archive.folder("blobs/sha256", 0o755)?;
        for (path, contents) in self.blobs.paths() {
            archive.file(&path, 0o644, contents)?;
        }
        archive.finish()
    }

    /// An image that was made as one file; its blobs are what their names say.
    pub(super) fn read(archive: &[u8]) -> Result<Self> {
        let (mut index, mut blobs) = (None, Blobs::default());
        for entry in tar::Archive::new(archive).entries()? {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().into_owned();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents)?;
            match path.as_str() {
                INDEX => index = Some(ImageIndex::from_reader(contents.as_slice())?),
                _ => blobs.take(&path, contents)?,
            }
        }
        Ok(Self { time: 0, index: index.with_context(|| format!("there is no {INDEX}"))?, blobs })
    }

    /// The hash that a registry and a container runtime know the image by.
    pub(super) fn digest(&self) -> &str {
        self.manifest().map_or("", |manifest| manifest.digest().as_ref())
    }

    /// The documents that say how to run it, and its files as a tar.
    pub(super) fn unpack(&self) -> Result<(ImageConfiguration, Vec<u8>)> {
        let manifest = self.manifest().context("the index names no image")?;
        let manifest = ImageManifest::from_reader(self.blobs.get(manifest)?)?;
        let config = ImageConfiguration::from_reader(self.blobs.get(manifest.config())?)?;
        let [layer] = manifest.layers().as_slice() else { anyhow::bail!("the image has not one layer") };
        let mut files = Vec::new();
        GzDecoder::new(self.blobs.get(layer)?).read_to_end(&mut files)?;
        ensure!(config.rootfs().diff_ids() == &[sha256(&files)], "the layer isn't the one that the image says");
        Ok((config, files))
    }

    fn manifest(&self) -> Option<&Descriptor> {
        self.index.manifests().first()
    }
}

fn configuration(arch: Arch, layer: &str, origin: &Origin) -> Result<ImageConfiguration> {
    let created = origin.time.to_string();
    let config = ConfigBuilder::default()
        .entrypoint([ENTRYPOINT.to_owned()])
        .env([format!("PATH={PATH}")])
        .labels(labels(origin))
        .working_dir("/");
    let history = HistoryBuilder::default().created(created.clone()).created_by("cargo xtask image").build()?;
    let rootfs = RootFsBuilder::default().typ("layers").diff_ids([layer.to_owned()]).build()?;
    Ok(ImageConfigurationBuilder::default()
        .created(created)
        .architecture(oci(arch))
        .os(Os::Linux)
        .config(config.build()?)
        .rootfs(rootfs)
        .history([history])
        .build()?)
}

/// Labels that registries and scanners show.
pub(super) fn labels(origin: &Origin) -> HashMap<String, String> {
    let fixed = [
        ("title", "sluice"),
        ("description", "Kubernetes Services and NetworkPolicies on eBPF"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("licenses", "Apache-2.0 AND (Apache-2.0 OR GPL-2.0-only)"),
    ];
    let labels = fixed.map(|(name, value)| (name, value.to_owned())).into_iter();
    let labels = labels.chain([("created", origin.time.to_string())]);
    let labels = labels.chain(origin.revision.clone().map(|revision| ("revision", revision)));
    labels.map(|(name, value)| (format!("org.opencontainers.image.{name}"), value)).collect()
}

/// What the image is called where it is loaded: by the specification, and by containerd, which is what a node runs.
fn names(tag: &str) -> HashMap<String, String> {
    let version = tag.rsplit_once(':').map_or("latest", |(_, version)| version);
    let names = [("org.opencontainers.image.ref.name", version), ("io.containerd.image.name", tag)];
    names.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

const fn oci(arch: Arch) -> OciArch {
    match arch {
        Arch::Amd64 => OciArch::Amd64,
        Arch::Arm64 => OciArch::ARM64,
    }
}

/// Through a value, which sorts the keys: labels and annotations have no order of their own.
fn document(document: &impl Serialize) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(&serde_json::to_value(document)?)?)
}

/// A gzip header without name and time.
fn compressed(contents: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(contents)?;
    Ok(gzip.finish()?)
}
