//! Encryption of connections.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;
use verbatim_core::ports::{PortError, PortResult};

use crate::config::TlsConfig;

/// What connects with TLS as configured. Reads files.
pub(crate) fn connector(config: &TlsConfig) -> PortResult<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |error: rustls::Error| PortError::permanent("TLS to PostgreSQL can't be set up", error);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(roots(config.ca_file.as_deref())?);
    let config = match (&config.client_cert, &config.client_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let wrong = |error| {
                PortError::permanent(format_args!("no private key can be read from {}", key.display()), error)
            };
            let key = PrivateKeyDer::from_pem_file(key).map_err(wrong)?;
            builder.with_client_auth_cert(certificates(certificate)?, key).map_err(failed)?
        }
        _ => {
            let why = "a client certificate and its key go together: only one of the two is configured";
            return Err(PortError::Permanent(why.to_owned()));
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn roots(ca_file: Option<&Path>) -> PortResult<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(file) = ca_file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| {
            PortError::permanent(format_args!("{} has a certificate that is none", file.display()), error)
        })?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> PortResult<Vec<CertificateDer<'static>>> {
    let wrong = |why: &dyn std::fmt::Display| {
        PortError::Permanent(format!("no certificates can be read from {}: {why}", file.display()))
    };
    let all = CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
    if all.is_empty() { Err(wrong(&"it holds none in PEM form")) } else { Ok(all) }
}
