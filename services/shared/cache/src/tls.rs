//! Trusted certificate authorities.

use std::sync::Arc;

use fred::error::{Error, ErrorKind};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// TLS that trusts only `authorities` (PEM); without them, the public ones.
pub fn trusting(authorities: Option<&str>) -> Result<ClientConfig, Error> {
    let roots = match authorities {
        Some(pem) => read(pem)?,
        None => RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        },
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}

fn read(pem: &str) -> Result<RootCertStore, Error> {
    let unreadable = |why: String| Error::new(ErrorKind::Tls, format!("authorities: {why}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        roots.add(certificate)?;
    }
    if roots.is_empty() {
        return Err(unreadable("no certificate found".to_owned()));
    }
    Ok(roots)
}
