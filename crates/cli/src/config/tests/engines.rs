//! What is said of engines, and of the secret that several processes share.

use super::{read, refusal};

#[test]
fn engines_are_told_what_the_settings_say() {
    let file = "[nats]\nurl = 'nats://one,tls://two:5'\nuser = 'ann'\npassword = 'p'\nca_file = 'ca.pem'\nreplicas = 3\n\
                [postgres]\nurl = 'postgres://ann:p@db/records'\nca_file = 'ca.pem'\npool_size = 3\n\
                [meilisearch]\nurl = 'http://search:7700/'\nindex = 'mine'\n[capture_log]\nmax_bytes = '1GiB'";
    let config = read(file, &[], &[]).unwrap();
    let nats = config.nats().unwrap().unwrap();
    assert_eq!(
        (nats.servers, nats.replicas, nats.max_bytes),
        (vec!["nats://one,tls://two:5".into()], 3, 1 << 30)
    );
    let password = verbatim_log_nats::Secret::new("p");
    let credentials = verbatim_log_nats::Credentials::Password { user: "ann".into(), password };
    assert_eq!((nats.credentials, nats.tls.ca), (credentials, Some("ca.pem".into())));
    assert!(nats.tls.required, "an authority is named");
    let postgres = config.postgres().unwrap().unwrap();
    assert_eq!((postgres.address().as_str(), postgres.pool_size), ("db:5432/records", 3));
    assert_eq!(postgres.tls.ca_file, Some("ca.pem".into()));
    let meilisearch = config.meilisearch().unwrap().unwrap();
    assert_eq!((meilisearch.address(), meilisearch.index()), ("http://search:7700", "mine"));
    let plain = read("[nats]\nurl = 'nats://one'", &[], &[]).unwrap().nats().unwrap().unwrap();
    assert!(!plain.tls.required);
    let shown = read("[nats]\nurl = 'nats://one'\nclient_cert = 'c'\nclient_key = 'k'", &[], &[]).unwrap();
    assert!(shown.nats().unwrap().unwrap().tls.required);
    let none = read("", &[], &[]).unwrap();
    assert!(none.nats().unwrap().is_none() && none.postgres().unwrap().is_none());
    assert!(none.meilisearch().unwrap().is_none() && none.secret().unwrap().is_none());
}

#[test]
fn a_secret_is_the_same_from_a_file_as_from_the_environment_and_a_data_directorys_own_will_do() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let from_file = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        read(&format!("secret_file = '{}'", file.display()), &[], &[]).map(|config| config.secret().unwrap())
    };
    let long = "0123456789abcdef0123456789abcdef0123456789abcdef";
    let said = read("", &[], &[("VERBATIM_SECRET", long)]).unwrap().secret().unwrap();
    assert!(said.is_some() && said == from_file(format!("{long}\n").as_bytes()).unwrap());
    let raw = [b'\n'; 32];
    assert_eq!(from_file(&raw), Ok(Some(raw)));
    let exact = &long[..32];
    let said = read("", &[], &[("VERBATIM_SECRET", exact)]).unwrap().secret().unwrap();
    assert_eq!(from_file(format!("{exact}\n").as_bytes()), Ok(said));
    assert!(from_file(b"short").unwrap_err().contains("at least 32 characters"));
    let both = format!("secret = '{long}'\nsecret_file = 'x'");
    assert!(refusal(&both, &[]).contains("not both"));
    assert!(refusal("secret_file = 'absent'", &[]).contains("secret_file = \"absent\" (verbatim.toml:1)"));
}

#[test]
fn secrets_that_an_example_says_are_refused_and_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, "CHANGE-THIS-TO-AT-LEAST-32-CHARACTERS\n").unwrap();
    let secret_file = format!("secret_file = '{}'", file.display());
    for (file, key) in [
        ("secret = 'CHANGE-THIS-TO-AT-LEAST-32-CHARACTERS'", "secret = "),
        (secret_file.as_str(), "secret_file = "),
        ("[web]\npassword = 'CHANGE-WEB'", "web.password = "),
        ("[nats]\nurl = 'nats://x'\nuser = 'verbatim'\npassword = 'CHANGE-NATS'", "nats.password = "),
        ("[nats]\nurl = 'nats://verbatim:CHANGE-NATS@x'", "nats.url = "),
        ("[meilisearch]\nurl = 'http://x'\napi_key = 'CHANGE-MEILISEARCH'", "meilisearch.api_key = "),
        ("[postgres]\nurl = 'postgres://verbatim:CHANGE-POSTGRES@x/y'", "postgres.url = "),
        ("[postgres]\nurl = 'postgres://x/y?user=a&password=CHANGE-POSTGRES'", "postgres.url = "),
    ] {
        let message = refusal(file, &[]);
        assert!(message.contains(key) && message.contains("a secret of your own"), "{message}");
        assert!(!message.contains("CHANGE"), "{message}");
    }
}

#[test]
fn engine_settings_that_contradict_each_other_are_refused() {
    for (file, expected) in [
        (
            "[nats]\nurl = 'nats://x'\nclient_cert = 'c'",
            "nats.client_cert = one of the two (verbatim.toml:3)",
        ),
        (
            "[nats]\nurl = 'nats://x'\nacknowledgement_wait = '1s'",
            "nats.acknowledgement_wait = \"1s\" (verbatim.toml:3): expected a time",
        ),
        ("[nats]\nurl = 'nats://x'\nreplicas = 9", "nats.replicas = 9 (verbatim.toml:3): expected a number"),
        ("[postgres]\nurl = 'postgres://x/y'\nclient_key = 'c'", "client_cert and client_key together"),
        ("[postgres]\nurl = 'postgres://x/y'\npool_size = 0", "postgres.pool_size = 0 (verbatim.toml:3)"),
        ("[postgres]\nurl = 'x'", "postgres.url = \"********\" (verbatim.toml:2): expected an address"),
        ("[postgres]\nurl = 'postgres://x/y?sslmode=prefer'", "sslmode=require"),
        ("[meilisearch]\nurl = 'http://x'\nindex = 'a b'", "meilisearch.index = \"a b\" (verbatim.toml:3)"),
    ] {
        let message = refusal(file, &[]);
        assert!(message.contains(expected), "{file:?}\n gave {message}\n not {expected}");
    }
}
