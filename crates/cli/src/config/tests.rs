//! The settings' promises, on a map instead of the environment.

use std::collections::BTreeMap;

use super::settings::CaptureSetting;
use super::*;

mod engines;

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn flag(name: &'static str, key: &'static str, value: &str) -> Flag {
    Flag { name, key, value: value.to_owned() }
}

/// Reads a configuration file with this text, flags and variables.
fn read(file: &str, flags: &[Flag], variables: &[(&str, &str)]) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(USUAL_FILE), file).unwrap();
    let config = Config::read(directory.path(), None, Unnamed::Read, flags, &environment(variables));
    config.map_err(|error| error.to_string().replace(&format!("{}/", directory.path().display()), ""))
}

fn refusal(file: &str, variables: &[(&str, &str)]) -> String {
    read(file, &[], variables).map(|_| "accepted").unwrap_err()
}

#[test]
fn defaults_need_nothing() {
    let config =
        Config::read(tempfile::tempdir().unwrap().path(), None, Unnamed::Read, &[], &environment(&[]))
            .unwrap();
    assert_eq!(config.settings.gateway.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.settings.web.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.settings.data_dir, "verbatim-data");
    assert_eq!(config.file, None);
    assert!(config.entries().iter().all(|entry| entry.origin == Origin::Default));
}

#[test]
fn a_flag_counts_more_than_the_environment_that_more_than_the_file_that_more_than_the_default() {
    let file = "[web]\ntitle = 'file'\nlisten = '127.0.0.1:1'\n[gateway]\nlisten = '127.0.0.1:1'";
    let variables = [("VERBATIM_WEB__LISTEN", "127.0.0.1:2"), ("VERBATIM_GATEWAY__LISTEN", "127.0.0.1:2")];
    let config = read(file, &[flag("--web-addr", "web.listen", "127.0.0.1:3")], &variables).unwrap();
    assert_eq!(config.settings.web.listen.to_string(), "127.0.0.1:3");
    assert_eq!(config.origin("web.listen"), Origin::Flag("--web-addr"));
    assert_eq!(config.settings.gateway.listen.to_string(), "127.0.0.1:2");
    assert_eq!(config.origin("gateway.listen").to_string(), "environment variable VERBATIM_GATEWAY__LISTEN");
    assert_eq!(config.settings.web.title, "file");
    assert!(config.origin("web.title").to_string().ends_with("verbatim.toml:2"));
    assert_eq!(config.origin("data_dir"), Origin::Default);
}

#[test]
fn the_environment_gives_every_kind_of_value() {
    let config = read(
        "",
        &[],
        &[
            ("VERBATIM_DEFAULT_PROVIDER", "mine"),
            ("VERBATIM_WEB__PASSWORD", "1234"),
            ("VERBATIM_GATEWAY__DEFAULT_KEY", "true"),
            ("VERBATIM_GATEWAY__CORS_ORIGINS", "https://a.example, https://b.example"),
            ("VERBATIM_GATEWAY__TIMEOUTS__TOTAL", "1h"),
            ("VERBATIM_GATEWAY__QUEUE__TOTAL", "16MiB"),
            ("VERBATIM_GATEWAY__CAPTURE", "required"),
            ("VERBATIM_RETENTION__BODIES_DAYS", "30"),
            ("VERBATIM_RETENTION__MAX_BYTES", "1000000"),
            ("VERBATIM_PROVIDERS__0__NAME", "mine"),
            ("VERBATIM_PROVIDERS__0__DIALECT", "anthropic"),
            ("VERBATIM_PROVIDERS__0__BASE_URL", "http://127.0.0.1:9/v1"),
            ("VERBATIM_UPSTREAM", ""),
            // Somebody else's.
            ("VERBATIM_SERVICE_HOST", "10.0.0.1"),
            ("VERBATIM_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ],
    );
    let settings = config.unwrap().settings;
    assert_eq!(settings.web.password.reveal(), "1234");
    assert!(settings.gateway.default_key);
    assert_eq!(settings.gateway.cors_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(settings.gateway.timeouts.total.to_string(), "1h");
    assert_eq!(settings.gateway.queue.total.0, 16 << 20);
    assert_eq!(settings.gateway.capture, CaptureSetting::Required);
    assert_eq!((settings.retention.bodies_days, settings.retention.max_bytes.0), (30, 1_000_000));
    assert_eq!(settings.providers[0].base_url.to_string(), "http://127.0.0.1:9/v1");
    assert!(settings.upstream.is_none());
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let file = "default_provider = 'nobody'\n[gateway]\nlisten = 'x'\n[gateway.timeouts]\ntotal = '10'\n\
                [web]\nlisten = '0.0.0.0:1'\ntitel = 'a'\n[nats]\nurl = 'nats://x'\nreplicas = 9\n\
                acknowledgement_wait = '1s'\n[retention]\nbodies_days = -1\n\
                [[providers]]\nname = 'one'\ndialect = 'klingon'\n[[providers]]\nname = 'two'\ndialect = 'openai'\n\
                base_url = 'http://127.0.0.1:9/v1'\napi_key = 'sk-x'";
    let told = refusal(file, &[("VERBATIM_GATEWAY__CAPTURE", "always"), ("VERBATIM_DEFAULT_PROVIDR", "x")]);
    let keys: Vec<&str> = told.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let expected = [
        "default_providr",
        "gateway.capture",
        "gateway.listen",
        "gateway.timeouts.total",
        "providers.0.dialect",
        "providers.0.base_url",
        "providers.1.api_key",
        "retention.bodies_days",
        "web.titel",
        // Once every setting has its type. Who is nobody, and who may reach the dashboard, depends on what is wrong above.
        "nats.replicas",
        "nats.acknowledgement_wait",
    ];
    assert_eq!(keys, expected, "{told}");
    assert!(told.lines().all(|line| line.contains("expected") || line.contains("no such setting")), "{told}");
    // Of what has the right type, too, more than the first.
    let file = "default_provider = 'nobody'\n[gateway]\nlisten = '0.0.0.0:1'\n[web]\nlisten = '0.0.0.0:2'\n\
                [gateway.queue]\ntotal = '1KiB'\n[postgres]\nurl = 'postgres://x/y'\npool_size = 0";
    let told = refusal(file, &[]);
    let keys: Vec<&str> = told.lines().map(|line| line.split(' ').next().unwrap()).collect();
    for key in
        ["default_provider", "gateway.listen", "gateway.queue.total", "web.listen", "postgres.pool_size"]
    {
        assert!(keys.contains(&key), "{key}: {told}");
    }
    assert_eq!(keys.len(), 5, "{told}");
}

#[test]
fn an_invalid_value_is_named_with_its_key_its_place_and_what_was_expected() {
    let cases = [
        (
            "[gateway]\nlisten = 'example.com'",
            "gateway.listen = \"example.com\" (verbatim.toml:2): expected an IP address and a port",
        ),
        (
            "[gateway]\nlisten = 8080",
            "gateway.listen = 8080 (verbatim.toml:2): expected an IP address and a port",
        ),
        (
            "[gateway]\n\ncapture = 'always'",
            "gateway.capture = \"always\" (verbatim.toml:3): expected \"best_effort\" or \"required\"",
        ),
        (
            "[gateway.timeouts]\ntotal = '10'",
            "gateway.timeouts.total = \"10\" (verbatim.toml:2): expected a duration",
        ),
        (
            "[gateway.queue]\ntotal = '1KiB'",
            "gateway.queue.total = \"1024\" (verbatim.toml:2): expected at least",
        ),
        (
            "[gateway]\nmax_recorded_body_bytes = '5GiB'",
            "gateway.max_recorded_body_bytes = \"5368709120\" (verbatim.toml:2): expected 1048576 to",
        ),
        ("[retention]\nbodies_days = -1", "retention.bodies_days = -1 (verbatim.toml:2): expected"),
        ("[retention]\nbodies_days = 'x'", "retention.bodies_days = \"x\" (verbatim.toml:2): expected"),
        ("gateway = 3", "gateway = 3 (verbatim.toml:1): expected"),
        (
            "upstream = 'localhost'",
            "upstream = \"localhost\" (verbatim.toml:1): expected an http or https URL",
        ),
        (
            "default_provider = 'opnai'",
            "default_provider = \"opnai\" (verbatim.toml:1): expected the name of a",
        ),
        ("[log]\nlevel = 'loud'", "log.level = \"loud\" (verbatim.toml:2): expected \"error\""),
        ("[log]\nformat = 'xml'", "log.format = \"xml\" (verbatim.toml:2): expected \"text\" or \"json\""),
        ("[[providers]]\nname = 'x'", "providers.0.dialect is missing"),
        (
            "[[providers]]\nname = 'x'\ndialect = 'klingon'\nbase_url = 'http://x'",
            "providers.0.dialect = \"klingon\" (verbatim.toml:3): expected \"raw\" or \"openai\"",
        ),
        (
            "[[providers]]\nname = 'a/b'\ndialect = 'raw'\nbase_url = 'http://x'",
            "providers.0.name = \"a/b\" (verbatim.toml:2): expected letters",
        ),
        (
            "[web]\nlisten = '0.0.0.0:1'",
            "web.listen = \"0.0.0.0:1\" (verbatim.toml:2): expected a loopback address",
        ),
        (
            "[gateway]\nlisten = '[::]:1'",
            "gateway.listen = \"[::]:1\" (verbatim.toml:2): expected a loopback",
        ),
        ("[web\n", "verbatim.toml:1: "),
    ];
    for (file, expected) in cases {
        let message = refusal(file, &[]);
        assert!(message.contains(expected), "{file:?}\n gave {message}\n not {expected}");
    }
    let message = refusal("", &[("VERBATIM_GATEWAY__DEFAULT_KEY", "yes")]);
    let expected =
        "gateway.default_key = \"yes\" (environment variable VERBATIM_GATEWAY__DEFAULT_KEY): expected";
    assert!(message.contains(expected), "{message}");
}

/// A file, the environment's variables, and what is complained of.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    let cases: &[Case<'_>] = &[
        (
            "[gateway]\nlisten = '127.0.0.1:1'\nlistn = 'x'",
            &[],
            "gateway.listn (verbatim.toml:3): there is no such setting; did you mean listen?",
        ),
        (
            "[getaway]\nlisten = 'x'",
            &[],
            "getaway (verbatim.toml:1): there is no such setting; did you mean gateway?",
        ),
        (
            "",
            &[("VERBATIM_WEB__PASWORD", "x")],
            "web.pasword (environment variable VERBATIM_WEB__PASWORD): there is no such setting; did you mean password?",
        ),
        ("", &[("VERBATIM_DATADIR", "x")], "did you mean VERBATIM_DATA_DIR?"),
        ("datadir = 'x'", &[], "did you mean data_dir?"),
        (
            "[log]\nzzz = 1",
            &[],
            "log.zzz (verbatim.toml:2): there is no such setting; expected one of level, format",
        ),
        (
            "[nats]\nurls = 'nats://x'",
            &[],
            "nats.urls (verbatim.toml:2): there is no such setting; did you mean url?",
        ),
        (
            "[[routes]]\nmatch = {}",
            &[],
            "routes (verbatim.toml:1): there is no such setting; calls are routed by path",
        ),
        ("[[providers]]\nname = 'x'\napi_key = 'sk-1'", &[], "name it in api_key_env"),
        ("", &[("VERBATIM_PROVIDERS__1__NAME", "x")], "the next one of this list is number 0"),
    ];
    for (file, variables, expected) in cases {
        let message = refusal(file, variables);
        assert!(message.contains(expected), "{file:?} {variables:?}\n gave {message}\n not {expected}");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let provider = "[[providers]]\nname = 'x'\ndialect = 'raw'\nbase_url = 'http://x'\n";
    let refusals = [
        refusal("[web]\npassword = ['hunter2']", &[]),
        refusal("[web]\npassword = 'hunter2", &[]),
        refusal("upstream = 'https://user:hunter2@host/v1'", &[]),
        refusal(&format!("{provider}api_key_env = 'sk-hunter2'"), &[]),
        refusal(&format!("{provider}api_key = 'sk-hunter2'"), &[]),
        refusal(&format!("{provider}headers = {{ 'x y' = 'hunter2' }}"), &[]),
        refusal(&format!("{provider}headers = {{ x = ['hunter2'] }}"), &[]),
        refusal("[nats]\nurl = 'http://ann:hunter2@host'", &[]),
        refusal("[nats]\nurl = ['hunter2@host']", &[]),
        refusal("[nats]\nurl = 'nats://ann:hunter2@host'\ntoken = 'hunter2'", &[]),
        refusal("[nats]\nurl = 'nats://host'\nnkey = 'hunter2'\ntoken = 'hunter2'", &[]),
        refusal("[postgres]\nurl = 'postgres://ann:hunter2@host:port/x'", &[]),
        refusal("[postgres]\nurl = 'password=hunter2'", &[]),
        refusal("[meilisearch]\nurl = 'http://ann:hunter2@host'", &[]),
        refusal("[meilisearch]\napi_key = ['hunter2']", &[]),
        refusal("secret = 'hunter2'", &[]),
        refusal("", &[("VERBATIM_SECRET", "hunter2")]),
    ];
    for message in refusals {
        assert!(!message.contains("hunter2"), "{message}");
    }
    let engines = "nats.url = 'nats://ann:hunter2@host'\npostgres.url = 'postgres://ann:hunter2@host/x'\n\
                   meilisearch.api_key = 'hunter2'\nsecret = 'hunter2hunter2hunter2hunter2hunter2'\n";
    let file = format!("web.password = 'hunter2'\n{engines}{provider}headers = {{ x = 'hunter2' }}");
    let config = read(&file, &[], &[]).unwrap();
    let entries = format!("{:?}", config.entries());
    assert!(!entries.contains("hunter2") && entries.contains(Secret::MASK), "{entries}");
    assert!(!format!("{:?}", config.settings).contains("hunter2"));
}

#[test]
fn other_addresses_are_bound_once_that_is_said_to_be_meant() {
    let gateway = "[gateway]\nlisten = '0.0.0.0:1'\nallow_passthrough_keys = true";
    assert!(read(gateway, &[], &[]).is_ok());
    assert!(read("[web]\nlisten = '0.0.0.0:1'\npassword = 'x'", &[], &[]).is_ok());
}

#[test]
fn built_in_providers_take_their_usual_key_variables() {
    let variables = environment(&[("GOOGLE_API_KEY", "g"), ("MINE", "m"), ("OPENAI_API_KEY", " ")]);
    let file = "[[providers]]\nname = 'anthropic'\ndialect = 'anthropic'\nbase_url = 'http://x/v1'\napi_key_env = 'MINE'";
    let gateway = read(file, &[], &[]).unwrap().gateway(&variables, "g", [0; 32], None).unwrap();
    let key = |name: &str| gateway.provider(name).unwrap().api_key.map(|key| key.expose().clone());
    assert_eq!(key("gemini").as_deref(), Some("g"));
    assert_eq!(key("anthropic").as_deref(), Some("m"));
    assert_eq!(key("openai"), None);
}

#[test]
fn an_upstream_is_known_by_its_host() {
    let provider = |url: &str| {
        let config = read(&format!("upstream = '{url}'"), &[], &[]).unwrap();
        config.gateway(&environment(&[]), "g", [0; 32], None).unwrap().upstream.unwrap()
    };
    for url in ["https://api.anthropic.com", "https://api.anthropic.com/v1"] {
        let known = provider(url);
        assert_eq!((known.name.as_str(), known.base_url.path()), ("anthropic", "/v1"), "{url}");
        assert!(known.replaces_v1);
    }
    assert_eq!(provider("http://127.0.0.1:1234/v1").name, "upstream");
}

#[test]
fn a_file_that_nobody_named_is_left_where_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(USUAL_FILE), "upstream = 'https://evil.example'").unwrap();
    std::fs::write(directory.path().join("mine.toml"), "upstream = 'https://mine.example'").unwrap();
    let read = |file: Option<&str>, variables: &[(&str, &str)]| {
        let file = file.map(Path::new);
        let config =
            Config::read(directory.path(), file, Unnamed::Left, &[], &environment(variables)).unwrap();
        config.settings.upstream.map(|upstream| upstream.to_string())
    };
    assert_eq!(read(None, &[]), None);
    for named in ["mine.toml", USUAL_FILE] {
        let found = [read(Some(named), &[]), read(None, &[("VERBATIM_CONFIG", named)])];
        assert!(found.iter().all(|upstream| upstream.as_deref().is_some()), "{named}: {found:?}");
    }
}

#[test]
fn upstreams_of_ones_own_are_told_with_where_they_come_from() {
    let file = "[[providers]]\nname = 'openai'\ndialect = 'openai'\nbase_url = 'https://api.openai.com/v1'\n\
                [[providers]]\nname = 'x'\ndialect = 'raw'\nbase_url = 'http://x'";
    let mut config = read(file, &[], &[]).unwrap();
    let added = ProviderSettings { name: "anthropic".into(), ..config.settings.providers[1].clone() };
    config.add_provider(added, Origin::Environment("ANTHROPIC_BASE_URL".into()));
    let told = config.other_upstreams();
    assert!(
        told[0].starts_with("calls for x go to http://x (") && told[0].ends_with("verbatim.toml:8)"),
        "{told:?}"
    );
    assert_eq!(told[1], "calls for anthropic go to http://x (environment variable ANTHROPIC_BASE_URL)");
    assert_eq!(told.len(), 2);
    let flags = [flag("--upstream", "upstream", "http://u/v1")];
    assert_eq!(
        read(file, &flags, &[]).unwrap().other_upstreams(),
        ["all calls go to http://u/v1 (flag --upstream)"]
    );
    assert_eq!(read("", &[], &[]).unwrap().other_upstreams(), [""; 0]);
}

#[test]
fn what_is_hidden_can_be_named() {
    let file = "[redaction]\nheaders = ['x-a']\nquery = ['b']\nbody = ['pass_phrase']";
    let redaction =
        read(file, &[], &[]).unwrap().gateway(&environment(&[]), "g", [0; 32], None).unwrap().redaction;
    let expected = [vec!["x-a".to_owned()], vec!["b".to_owned()], vec!["pass_phrase".to_owned()]];
    assert_eq!([redaction.headers, redaction.query, redaction.body], expected);
    let variables = [("VERBATIM_REDACTION__BODY", "pass phrase")];
    let refused = refusal("", &variables);
    assert!(refused.contains("redaction.body = \"pass phrase\""), "{refused}");
}

#[test]
fn the_example_file_is_valid_and_says_the_defaults() {
    let text = include_str!("../../../../verbatim.example.toml");
    let example = read(text, &[], &[]).unwrap();
    let default = read("", &[], &[]).unwrap();
    let values = |config: &Config| {
        config.entries().into_iter().map(|entry| (entry.key, entry.value)).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(values(&example), values(&default));
    // Every setting that is not a provider's stands in it.
    for entry in default.entries().iter().filter(|entry| entry.key != "providers") {
        let name = entry.key.rsplit('.').next().unwrap();
        assert!(text.contains(&format!("{name} = ")), "{} is not in the example", entry.key);
    }
}
