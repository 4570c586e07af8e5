//! Contents by their hash.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use anyhow::{Context as _, Result, ensure};
use oci_spec::image::{Descriptor, Digest, MediaType};
use sha2::{Digest as _, Sha256};

/// The blobs of a layout, by hash.
#[derive(Default)]
pub(super) struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Adds contents of a kind, and returns what names them.
    pub(super) fn add(&mut self, kind: MediaType, contents: Vec<u8>) -> Result<Descriptor> {
        let digest = sha256(&contents);
        let descriptor = Descriptor::new(kind, contents.len() as u64, Digest::from_str(&digest)?);
        self.0.insert(digest, contents);
        Ok(descriptor)
    }

    /// The contents that a descriptor names.
    pub(super) fn get(&self, descriptor: &Descriptor) -> Result<&[u8]> {
        let digest = descriptor.digest().as_ref();
        let contents = self.0.get(digest).with_context(|| format!("the layout lacks {digest}"))?;
        ensure!(descriptor.size() == contents.len() as u64, "{digest} has {} bytes", contents.len());
        Ok(contents)
    }

    /// Path in a layout, and contents.
    pub(super) fn paths(&self) -> impl Iterator<Item = (String, &[u8])> {
        self.0.iter().map(|(digest, contents)| (format!("blobs/{}", digest.replacen(':', "/", 1)), contents.as_slice()))
    }

    /// Takes a file of a layout, if it is a blob.
    ///
    /// # Errors
    /// Its name isn't its hash.
    pub(super) fn take(&mut self, path: &str, contents: Vec<u8>) -> Result<()> {
        let Some(named) = path.strip_prefix("blobs/sha256/") else { return Ok(()) };
        let digest = sha256(&contents);
        ensure!(digest.ends_with(named), "blob {path} has the hash {digest}");
        self.0.insert(digest, contents);
        Ok(())
    }
}

/// The hash as the documents of an image write it.
pub(super) fn sha256(contents: &[u8]) -> String {
    let bytes = Sha256::digest(contents);
    bytes.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
