//! Encrypted connections, to a server that proves who it is and one that does not.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use verbatim_archive_postgres::{PostgresArchive, PostgresConfig, TlsConfig};
use verbatim_core::ports::{Archive, PortError, SystemClock};
use verbatim_testkit::postgres::{PostgresOptions, PostgresServer, USER};

use super::database;

/// An authority of one's own.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key, in PEM form.
fn signed(authority: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

fn server(
    authority: &CertifiedIssuer<'static, KeyPair>,
    certified_as: &str,
    access: &[&str],
) -> PostgresServer {
    let (certificate, key) = signed(authority, certified_as);
    let files = [("server.crt", certificate), ("server.key", key), ("root.crt", authority.pem())];
    let settings = ["ssl = on", "ssl_ca_file = 'root.crt'"];
    PostgresServer::start(&PostgresOptions {
        settings: settings.map(str::to_owned).to_vec(),
        access: access.iter().map(|line| (*line).to_owned()).collect(),
        files: files.map(|(name, text)| (name.to_owned(), text)).to_vec(),
        ..PostgresOptions::default()
    })
}

fn file(directory: &TempDir, name: &str, text: &str) -> Option<PathBuf> {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    Some(path)
}

async fn connect(config: &PostgresConfig) -> Result<PostgresArchive, PortError> {
    PostgresArchive::connect(config, Arc::new(SystemClock)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_certified_by_our_authority_is_used_encrypted_and_others_are_refused() {
    let (ours, other) = (authority(), authority());
    let server = server(&ours, "127.0.0.1", &[]);
    let (name, config) = database(&server).await;
    let directory = tempfile::tempdir().unwrap();
    let (ours, other) =
        (file(&directory, "ours.pem", &ours.pem()), file(&directory, "other.pem", &other.pem()));
    let with =
        |ca_file| PostgresConfig { tls: TlsConfig { ca_file, ..TlsConfig::default() }, ..config.clone() };
    let archive = connect(&with(ours)).await.unwrap();
    archive.health().await.unwrap();
    let encrypted = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                     WHERE application_name LIKE 'verbatim%' AND datname = current_database()";
    assert_eq!(server.sql(&name, encrypted), "t");
    archive.close().await;
    let asked = |mode| PostgresConfig { url: format!("{}?sslmode={mode}", config.url), ..config.clone() };
    for refused in [with(other), asked("require")] {
        let refused = connect(&refused).await.map(|_| ()).unwrap_err();
        assert!(matches!(&refused, PortError::Permanent(why) if why.contains("certificate")), "{refused:?}");
    }
    connect(&asked("disable")).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_refused() {
    let authority = authority();
    let server = server(&authority, "db.internal", &[]);
    let (_, config) = database(&server).await;
    let directory = tempfile::tempdir().unwrap();
    let ca_file = file(&directory, "ca.pem", &authority.pem());
    let config = PostgresConfig { tls: TlsConfig { ca_file, ..TlsConfig::default() }, ..config };
    let refused = connect(&config).await.map(|_| ()).unwrap_err();
    assert!(matches!(&refused, PortError::Permanent(why) if why.contains("name")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_stands_in_for_a_password() {
    let authority = authority();
    let access = ["hostssl all all 127.0.0.1/32 cert", "hostnossl all all 127.0.0.1/32 scram-sha-256"];
    let server = server(&authority, "127.0.0.1", &access);
    let name = "postgres";
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = signed(&authority, USER);
    let tls = TlsConfig {
        ca_file: file(&directory, "ca.pem", &authority.pem()),
        client_cert: file(&directory, "client.pem", &certificate),
        client_key: file(&directory, "client.key", &key),
    };
    let url = format!("postgres://{USER}@127.0.0.1:{}/{name}", server.port());
    let config = PostgresConfig { tls, ..PostgresConfig::new(url) };
    verbatim_archive_postgres::migrate(&config).await.unwrap();
    connect(&config).await.unwrap().close().await;
    let half = TlsConfig { client_key: None, ..config.tls.clone() };
    let refused = connect(&PostgresConfig { tls: half, ..config }).await.map(|_| ()).unwrap_err();
    assert!(matches!(&refused, PortError::Permanent(why) if why.contains("go together")), "{refused:?}");
}
