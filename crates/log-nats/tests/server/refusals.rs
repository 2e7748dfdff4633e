//! A server that will not do is refused with what is wrong and what to do; one that will is reached in every way.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use verbatim_core::ports::CaptureLog;
use verbatim_log_nats::{
    Changed, ClientCertificate, Config, Credentials, NatsLog, NatsLogError, Secret, Survey, Tls, migrate,
};
use verbatim_testkit::NatsServer;

use crate::support::{append, config, connect, end};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

async fn refused(config: Config) -> NatsLogError {
    let began = Instant::now();
    let error = NatsLog::connect(config).await.err().expect("the server is refused");
    assert!(error.is_transient() || began.elapsed() < Duration::from_secs(30), "it was tried again in vain");
    error
}

fn says(error: &NatsLogError, parts: &[&str]) {
    let text = error.to_string();
    parts.iter().for_each(|part| assert!(text.contains(part), "{part:?} is missing: {text}"));
}

async fn works(config: Config) {
    let log = NatsLog::connect(config).await.unwrap();
    append(&log, vec![end("end")]).await;
    log.shutdown().await;
}

#[tokio::test]
async fn a_missing_server_is_tried_for_as_long_as_told_and_named() {
    let server = NatsServer::start("").await;
    let tried = Config { connect_within: Duration::from_millis(300), ..config(&server) };
    server.kill();
    let began = Instant::now();
    let error = refused(Config { servers: vec![server.url().replace("//", "//ann:hidden@")], ..tried }).await;
    assert!(error.is_transient() && began.elapsed() >= Duration::from_millis(300), "{error}");
    says(&error, &[&server.address(), "nats-server runs there"]);
    assert!(!error.to_string().contains("hidden"));
    let (connected, ()) = tokio::join!(NatsLog::connect(config(&server)), server.restart());
    connected.unwrap().shutdown().await;
}

#[tokio::test]
async fn an_old_server_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let info = json!({ "server_id": "x", "version": "2.8.4", "max_payload": 1 << 20, "headers": true, "proto": 1 });
        stream.write_all(format!("INFO {info}\r\n").as_bytes()).await.unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line == "PING" {
                writer.write_all(b"PONG\r\n").await.unwrap();
            }
        }
    };
    let (error, ()) = tokio::join!(refused(Config::new([address.as_str()])), serving);
    assert!(!error.is_transient());
    says(&error, &[&address, "is version 2.8.4; expected 2.9.0", "Upgrade nats-server"]);
}

#[tokio::test]
async fn a_server_without_jetstream_is_refused() {
    let server = NatsServer::start_without_jetstream().await;
    let error = refused(config(&server)).await;
    assert!(!error.is_transient());
    says(&error, &[&server.address(), "has no JetStream", "`-js`"]);
}

#[tokio::test]
async fn settings_of_somebody_elses_are_refused() {
    let server = NatsServer::start("").await;
    connect(&server).await.shutdown().await;
    let client = crate::support::stranger(&server).await;
    let stream = crate::support::api(&client, "STREAM.INFO.CAP", &json!({})).await["config"].clone();
    let changed = |setting: &str, value: Value| {
        let mut stream = stream.clone();
        stream[setting] = value;
        stream
    };
    // What an operator may choose.
    let chosen = changed("max_bytes", json!(1 << 20));
    assert!(crate::support::api(&client, "STREAM.UPDATE.CAP", &chosen).await["error"].is_null());
    works(config(&server)).await;
    for (setting, value, shown) in [
        ("discard", json!("old"), "discard = \"old\"; expected \"new\""),
        ("max_age", json!(3_600_000_000_000_u64), "max_age = 3600s; expected 0ns"),
    ] {
        assert!(
            crate::support::api(&client, "STREAM.UPDATE.CAP", &changed(setting, value)).await["error"]
                .is_null()
        );
        let error = refused(config(&server)).await;
        assert!(matches!(error, NatsLogError::Foreign { .. }) && !error.is_transient());
        says(&error, &[&server.address(), "stream CAP", shown, "nats stream edit"]);
        assert!(crate::support::api(&client, "STREAM.UPDATE.CAP", &stream).await["error"].is_null());
    }
}

#[tokio::test]
async fn another_acknowledgement_wait_is_refused_until_it_was_migrated() {
    let server = NatsServer::start("").await;
    let (before, after) =
        (config(&server), Config { acknowledgement_wait: HALF_A_MINUTE, ..config(&server) });
    assert_eq!(migrate(&after).await.unwrap(), [], "what is not there yet is made with it");
    works(before.clone()).await;
    let client = crate::support::stranger(&server).await;
    let info = async |consumer: &str| {
        crate::support::api(&client, &format!("CONSUMER.INFO.CAP.{consumer}"), &json!({})).await
    };
    let (recorder, watch) = (info("recorder").await, info("watch").await);
    let error = refused(after.clone()).await;
    assert!(matches!(error, NatsLogError::OtherWait { .. }) && !error.is_transient());
    says(&error, &["consumer recorder of stream CAP waits 60s", "30s is configured", "`verbatim migrate`"]);

    let changed = migrate(&after).await.unwrap();
    let of = |what: &str| Changed {
        what: format!("consumer {what} of stream CAP"),
        from: Duration::from_secs(60),
        to: HALF_A_MINUTE,
    };
    assert_eq!(changed, [of("recorder"), of("watch")]);
    assert_eq!(migrate(&after).await.unwrap(), []);
    // Nothing else changed, least of all how far they are.
    for (before, after) in [(recorder, info("recorder").await), (watch, info("watch").await)] {
        let mut expected = before["config"].clone();
        expected["ack_wait"] = json!(HALF_A_MINUTE.as_nanos() as u64);
        assert_eq!((&after["config"], &after["created"]), (&expected, &before["created"]));
        assert_eq!(after["delivered"], before["delivered"]);
    }
    works(after.clone()).await;
    says(&refused(before).await, &["waits 30s", "60s is configured"]);

    // What is somebody else's stays refused, and nothing is changed beside it.
    let mut foreign = info("watch").await["config"].clone();
    foreign["max_ack_pending"] = json!(7);
    let question = json!({ "stream_name": "CAP", "config": foreign });
    let changed = crate::support::api(&client, "CONSUMER.DURABLE.CREATE.CAP.watch", &question).await;
    assert!(changed["error"].is_null(), "{changed}");
    let error =
        migrate(&Config { acknowledgement_wait: Duration::from_secs(20), ..after }).await.unwrap_err();
    assert!(matches!(error, NatsLogError::Foreign { .. }));
    says(&error, &["consumer watch of stream CAP", "max_ack_pending = 7; expected 4096"]);
    for consumer in ["recorder", "watch"] {
        assert_eq!(info(consumer).await["config"]["ack_wait"], json!(HALF_A_MINUTE.as_nanos() as u64));
    }
}

#[tokio::test]
async fn a_survey_changes_nothing() {
    let server = NatsServer::start("").await;
    let client = crate::support::stranger(&server).await;
    let survey = Survey::take(&config(&server)).await.unwrap();
    let all = ["stream CAP", "stream DLQ", "consumer recorder of stream CAP", "consumer watch of stream CAP"];
    assert_eq!(survey.absent, all);
    assert!(survey.server_version.starts_with("2.") && survey.health.is_none());
    let streams = crate::support::api(&client, "STREAM.NAMES", &json!({})).await;
    assert_eq!(streams["total"], 0, "{streams}");
    works(config(&server)).await;
    let survey = Survey::take(&config(&server)).await.unwrap();
    assert!(survey.absent.is_empty());
    assert_eq!(survey.health.unwrap().ends_pending, 1);
}

#[tokio::test]
async fn subjects_that_another_stream_has_are_refused() {
    let server = NatsServer::start("").await;
    let client = crate::support::stranger(&server).await;
    let other =
        json!({ "name": "OTHER", "subjects": ["cap.end.>"], "storage": "file", "retention": "limits" });
    assert!(crate::support::api(&client, "STREAM.CREATE.OTHER", &other).await["error"].is_null());
    let error = refused(config(&server)).await;
    assert!(!error.is_transient());
    says(&error, &["would not make stream CAP", "another stream takes the subjects"]);
}

#[tokio::test]
async fn a_stream_that_does_not_fit_is_refused() {
    let server = NatsServer::start("").await;
    let error = refused(Config { max_bytes: 1 << 50, ..config(&server) }).await;
    says(&error, &["would not make stream CAP", "insufficient storage", "max_bytes"]);
    let error = refused(Config { replicas: 3, ..config(&server) }).await;
    says(&error, &["would not make stream CAP", "configure 1 replica"]);
}

#[tokio::test]
async fn a_user_gets_in_by_password_and_nobody_else_does() {
    let server = NatsServer::start("authorization { user: ann, password: \"s3 cret\" }").await;
    let with = |credentials| Config { credentials, ..config(&server) };
    let password = |text: &str| Credentials::Password { user: "ann".to_owned(), password: Secret::new(text) };
    works(with(password("s3 cret"))).await;
    let in_address = server.url().replace("//", "//ann:s3%20cret@");
    works(Config { servers: vec![in_address], ..config(&server) }).await;
    for wrong in [password("hidden"), Credentials::Anonymous, Credentials::Token(Secret::new("hidden"))] {
        let error = refused(with(wrong)).await;
        assert!(matches!(error, NatsLogError::Refused { .. }) && !error.is_transient());
        says(&error, &[&server.address(), "refused the credentials"]);
        assert!(!error.to_string().contains("hidden"));
    }
}

#[tokio::test]
async fn a_user_without_the_permissions_is_refused_with_what_is_missing() {
    let user = "{ user: ann, password: pw, permissions: { publish: [\"cap.>\"], subscribe: \"_INBOX.>\" } }";
    let server = NatsServer::start(&format!("authorization {{ users: [ {user} ] }}")).await;
    let credentials = Credentials::Password { user: "ann".to_owned(), password: Secret::new("pw") };
    let answer_within = Duration::from_secs(2);
    let error = refused(Config { credentials, answer_within, ..config(&server) }).await;
    assert!(!error.is_transient(), "{error}");
    says(&error, &["$JS.API.INFO", "`$JS.>`"]);
}

#[tokio::test]
async fn a_token_lets_in() {
    let server = NatsServer::start("authorization { token: \"t0ken\" }").await;
    let with = |token| Config { credentials: Credentials::Token(Secret::new(token)), ..config(&server) };
    works(with("t0ken")).await;
    assert!(matches!(refused(with("other")).await, NatsLogError::Refused { .. }));
}

#[tokio::test]
async fn an_nkey_lets_in() {
    let (mine, other) = (KeyPair::new_user(), KeyPair::new_user());
    let server =
        NatsServer::start(&format!("authorization {{ users: [ {{ nkey: {} }} ] }}", mine.public_key())).await;
    let with = |seed: String| Config { credentials: Credentials::Nkey(Secret::new(seed)), ..config(&server) };
    works(with(mine.seed().unwrap())).await;
    for wrong in [other.seed().unwrap(), "SUNO".to_owned()] {
        assert!(matches!(refused(with(wrong)).await, NatsLogError::Refused { .. }));
    }
}

/// A token as `nsc` makes them.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": name, "sub": subject.public_key(),
        "nats": nats,
    });
    let signed = format!("{}.{}", encode(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn a_credentials_file_lets_in() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    // With an operator, JetStream does not start without a system account.
    let system = KeyPair::new_account();
    let operator_jwt = jwt(&operator, &operator, "operator", &json!({ "type": "operator", "version": 2 }));
    let unlimited = -1;
    let limits = json!({
        "subs": unlimited, "data": unlimited, "payload": unlimited, "imports": unlimited, "exports": unlimited,
        "wildcards": true, "conn": unlimited, "leaf": unlimited, "mem_storage": unlimited,
        "disk_storage": unlimited, "streams": unlimited, "consumer": unlimited,
    });
    let account_jwt =
        jwt(&operator, &account, "account", &json!({ "type": "account", "version": 2, "limits": limits }));
    let system_jwt = jwt(&operator, &system, "system", &json!({ "type": "account", "version": 2 }));
    let user_limits =
        json!({ "type": "user", "version": 2, "subs": unlimited, "data": unlimited, "payload": unlimited });
    let user_jwt = jwt(&account, &user, "user", &user_limits);
    let (key, system_key) = (account.public_key(), system.public_key());
    let settings = format!(
        "operator: {operator_jwt}\nsystem_account: {system_key}\nresolver: MEMORY\n\
         resolver_preload: {{ {key}: {account_jwt}, {system_key}: {system_jwt} }}"
    );
    let server = NatsServer::start(&settings).await;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("user.creds");
    let seed = user.seed().unwrap();
    let block =
        |what: &str, text: &str| format!("-----BEGIN {what}-----\n{text}\n------END {what}------\n\n");
    fs::write(&file, block("NATS USER JWT", &user_jwt) + &block("USER NKEY SEED", &seed)).unwrap();
    works(Config { credentials: Credentials::File(file), ..config(&server) }).await;
    let missing = Credentials::File("/nowhere/user.creds".into());
    let error = refused(Config { credentials: missing, ..config(&server) }).await;
    assert!(matches!(error, NatsLogError::Config(_)));
    says(&error, &["/nowhere/user.creds"]);
}

/// An authority of a test's own, and what it signed.
struct Authority {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { directory, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn certificate(&self, name: &str, host: &str) -> (PathBuf, PathBuf) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&files.0, certificate.pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }

    async fn server(&self, more: &str) -> NatsServer {
        let (certificate, key) = self.certificate("server", "127.0.0.1");
        let file = |path: &Path| path.display().to_string();
        let settings = format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\" {more} }}",
            file(&certificate),
            file(&key),
            file(&self.path("ca.pem"))
        );
        NatsServer::start(&settings).await
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_our_authority_alone() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = ours.server("").await;
    let with =
        |ca: Option<PathBuf>| Config { tls: Tls { required: true, ca, client: None }, ..config(&server) };
    works(with(Some(ours.path("ca.pem")))).await;
    // A server that wants TLS gets it unasked.
    let unasked = Tls { ca: Some(ours.path("ca.pem")), ..Tls::default() };
    works(Config { tls: unasked, ..config(&server) }).await;
    let error = refused(with(Some(theirs.path("ca.pem")))).await;
    assert!(matches!(error, NatsLogError::Tls { .. }) && !error.is_transient(), "{error}");
    says(&error, &[&server.address(), "CA file"]);
    let error = refused(with(Some(ours.path("missing.pem")))).await;
    says(&error, &["missing.pem"]);
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let server = NatsServer::start("").await;
    let tls = Tls { required: true, ca: Some(Authority::new().path("ca.pem")), client: None };
    let connect_within = Duration::ZERO;
    refused(Config { tls, connect_within, ..config(&server) }).await;
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_it_is_asked_to() {
    let authority = Authority::new();
    let server = authority.server(", verify: true").await;
    let (certificate, key) = authority.certificate("client", "verbatim");
    let with = |client| {
        let tls = Tls { required: true, ca: Some(authority.path("ca.pem")), client };
        Config { tls, connect_within: Duration::from_secs(20), ..config(&server) }
    };
    works(with(Some(ClientCertificate { certificate, key }))).await;
    let error = refused(Config { connect_within: Duration::ZERO, ..with(None) }).await;
    assert!(matches!(error, NatsLogError::Tls { .. } | NatsLogError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn health_of_a_server_that_is_gone_is_a_transient_error() {
    let server = NatsServer::start("").await;
    let log = connect(&server).await;
    server.kill();
    assert!(log.health().await.unwrap_err().is_transient());
    log.shutdown().await;
}
