//! Certificate authority with a TLS configuration for each host name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

use crate::body::BoxError;

/// Issues certificates for any host name, signed by a root certificate of its own.
pub(crate) struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    /// One key for all hosts, because creating a key is slow.
    host_key: KeyPair,
    pem: String,
    folder: TempDir,
    configs: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl CertificateAuthority {
    /// Creates a root certificate and writes it into a temporary folder.
    pub(crate) fn new() -> Result<Self, BoxError> {
        let key = KeyPair::generate()?;
        let mut params = params("Emulator root")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        let folder = tempfile::Builder::new().prefix("aws-emulator-").tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), &pem)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            host_key: KeyPair::generate()?,
            pem,
            folder,
            configs: Mutex::default(),
        })
    }

    /// Returns the path for `SSL_CERT_FILE`.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Returns a folder that is deleted together with this value.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the root certificate in PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Returns the TLS configuration for a host name.
    pub(crate) fn config(&self, host: &str) -> Result<Arc<ServerConfig>, BoxError> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(host) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.create_config(host)?);
        configs.insert(host.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    fn create_config(&self, host: &str) -> Result<ServerConfig, BoxError> {
        let mut params = params(host)?;
        params.subject_alt_names = CertificateParams::new(vec![host.to_owned()])?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate: CertificateDer<'static> = params.signed_by(&self.host_key, &self.issuer)?.into();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.host_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn params(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = DistinguishedName::new();
    // A common name can have 64 characters, and AWS host names can be longer.
    params.distinguished_name.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    Ok(params)
}
