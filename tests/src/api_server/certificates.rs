//! An authority of one server's own, and the certificate it gives.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Doing as _, Result};

/// Certificates of a server, as PEM.
#[derive(Debug)]
pub(super) struct Certificates {
    /// The authority's, which clients are to trust.
    pub(super) authority: String,
    /// The server's.
    pub(super) server: String,
    /// The server's private key.
    pub(super) key: String,
}

impl Certificates {
    /// For a server at an address.
    pub(super) fn new(address: IpAddr) -> Result<Self> {
        Self::make(address).map_err(io::Error::other).doing(|| format!("make a certificate for {address}"))
    }

    fn make(address: IpAddr) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "the lab's authority");
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?.pem();
        let server = CertificateParams::new(vec![address.to_string(), "localhost".into()])?;
        let key = KeyPair::generate()?;
        let server = server.signed_by(&key, &Issuer::new(authority, authority_key))?;
        Ok(Self { authority: authority_certificate, server: server.pem(), key: key.serialize_pem() })
    }

    /// A private key by itself, as PEM.
    pub(super) fn private_key() -> Result<String> {
        let key = KeyPair::generate().map_err(io::Error::other).doing(|| "make a private key".into())?;
        Ok(key.serialize_pem())
    }

    /// What makes TLS of a connection.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor> {
        let config = || -> io::Result<ServerConfig> {
            let certificate = CertificateDer::from_pem_slice(self.server.as_bytes()).map_err(io::Error::other)?;
            let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(io::Error::other)?;
            let versions = ServerConfig::builder_with_provider(Arc::new(default_provider()));
            let versions = versions.with_safe_default_protocol_versions().map_err(io::Error::other)?;
            versions.with_no_client_auth().with_single_cert(vec![certificate], key).map_err(io::Error::other)
        };
        Ok(TlsAcceptor::from(Arc::new(config().doing(|| "serve TLS".into())?)))
    }
}
