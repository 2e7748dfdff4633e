//! How `verbatim` starts and refuses to: exit codes and what it says.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Process, complaint, output, place, verbatim};

/// What may be wrong with a configuration, how it is given, and what is said.
#[test]
fn an_invalid_configuration_exits_64_and_names_key_value_origin_and_expectation() {
    let cases: &[(&[&str], &str, &str, &str)] = &[
        (
            &["--gateway-addr", "nowhere"],
            "",
            "",
            "gateway.listen = \"nowhere\" (flag --gateway-addr): expected an IP",
        ),
        (
            &["--web-addr", "0.0.0.0:0"],
            "",
            "",
            "web.listen = \"0.0.0.0:0\" (flag --web-addr): expected a loopback",
        ),
        (
            &["--upstream", "ftp://x"],
            "",
            "",
            "upstream = \"ftp://x\" (flag --upstream): expected an http or https URL",
        ),
        (
            &["--default-provider", "nobody"],
            "",
            "",
            "default_provider = \"nobody\" (flag --default-provider): expected",
        ),
        (&["--log-level", "loud"], "", "", "log.level = \"loud\" (flag --log-level): expected"),
        (
            &["--log-format", "xml"],
            "",
            "",
            "log.format = \"xml\" (flag --log-format): expected \"text\" or \"json\"",
        ),
        (&[], "gateway.capture = 'maybe'", "", "gateway.capture = \"maybe\" (verbatim.toml:1): expected"),
        (
            &[],
            "\n[web]\npasswrd = 'x'",
            "",
            "web.passwrd (verbatim.toml:3): there is no such setting; did you mean",
        ),
        (
            &[],
            "[nats]\nurl = 'http://x'",
            "",
            "nats.url = \"http://x\" (verbatim.toml:2): expected an address",
        ),
        (&[], "[gateway", "", "verbatim.toml:1: "),
        (
            &[],
            "",
            "VERBATIM_GATEWAY__CAPTURE=maybe",
            "(environment variable VERBATIM_GATEWAY__CAPTURE): expected",
        ),
        (&["--config", "absent.toml"], "", "", "absent.toml: No such file"),
    ];
    for (arguments, file, variable, expected) in cases {
        for command in ["up", "config"] {
            let place = place();
            if !file.is_empty() {
                std::fs::write(place.path().join("verbatim.toml"), file).unwrap();
            }
            let mut line = vec![command];
            line.extend((command == "config").then_some("check"));
            line.extend(*arguments);
            let mut command = verbatim(place.path(), &line);
            if let Some((name, value)) = variable.split_once('=') {
                command.env(name, value);
            }
            let output = command.output().unwrap();
            let complaint = complaint(&output);
            assert_eq!(output.status.code(), Some(64), "{line:?} {file:?}: {complaint}");
            assert!(complaint.contains(expected), "{line:?} {file:?} said {complaint}, not {expected}");
            assert_eq!(complaint.trim_end().lines().count(), 1, "{complaint}");
            assert!(!place.path().join("verbatim-data").exists(), "nothing may be made for {line:?}");
        }
    }
}

#[test]
fn a_wrong_command_line_exits_64_and_help_does_not() {
    let place = place();
    assert_eq!(output(place.path(), &["--no-such-flag"]).status.code(), Some(64));
    for asked in ["--help", "--version"] {
        assert_eq!(output(place.path(), &[asked]).status.code(), Some(0), "{asked}");
    }
    let script = output(place.path(), &["completions", "bash"]);
    assert!(script.status.success() && !script.stdout.is_empty());
}

#[test]
fn whoever_reads_no_further_breaks_nothing() {
    let place = place();
    for line in [&["completions", "bash"][..], &["config", "check"], &["--help"], &["doctor"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = verbatim(place.path(), line).stdout(writer).output().unwrap();
        assert!(!complaint(&output).contains("panic"), "{line:?}: {}", complaint(&output));
        assert_ne!(output.status.code(), Some(101), "{line:?}");
    }
}

/// Runs `up` to its refusal, which is one line.
fn refusal(arguments: &[&str], directory: &Path) -> String {
    let mut line = vec!["up", "--log-level", "off"];
    line.extend(arguments);
    let output = output(directory, &line);
    let complaint = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{complaint}");
    complaint
}

#[test]
fn a_port_in_use_is_told_with_its_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--gateway-addr", "--web-addr"] {
        let place = place();
        let complaint = refusal(&[flag, &address], place.path());
        assert!(complaint.contains(&address) && complaint.contains("in use"), "{complaint}");
    }
}

#[test]
fn a_data_directory_that_cannot_be_written_is_told() {
    let place = place();
    std::fs::write(place.path().join("file"), "").unwrap();
    let complaint = refusal(&["--data-dir", "file/data"], place.path());
    assert!(complaint.contains("file/data can't be written"), "{complaint}");
}

#[test]
fn a_data_directory_in_use_is_told_with_the_process_that_has_it() {
    let place = place();
    let running = Process::start(place.path(), &["up"]);
    let complaint = refusal(&[], place.path());
    let expected = format!("is in use by another process (pid {})", running.instance.pid);
    assert!(complaint.contains(&expected), "{complaint}");
    assert!(running.stop().success());
}

#[test]
fn data_of_a_newer_version_is_told_and_left_alone() {
    let place = place();
    assert!(Process::start(place.path(), &["up"]).stop().success());
    let records = place.path().join("verbatim-data/archive/records.db");
    let before = write_newer_schema(&records);
    let complaint = refusal(&[], place.path());
    assert!(complaint.contains("newer than"), "{complaint}");
    assert_eq!(schema_history(&records), before);
}

/// Writes into a file's schema history what a later version would; gives the history.
fn write_newer_schema(path: &Path) -> Vec<u32> {
    let file = verbatim_sqlite::open(path, &verbatim_sqlite::Options::default()).unwrap();
    let later = "INSERT INTO refinery_schema_history VALUES (9999, 'later', '2030-01-01T00:00:00Z', '0')";
    file.execute_batch(later).unwrap();
    schema_history(path)
}

fn schema_history(path: &Path) -> Vec<u32> {
    let file = verbatim_sqlite::open(path, &verbatim_sqlite::Options::default()).unwrap();
    let mut select = file.prepare("SELECT version FROM refinery_schema_history ORDER BY version").unwrap();
    let versions = select.query_map([], |row| row.get(0)).unwrap();
    versions.map(Result::unwrap).collect()
}

#[test]
fn what_is_written_is_for_its_owner_alone() {
    let place = place();
    let running = Process::start(place.path(), &["up"]);
    let data = place.path().join("verbatim-data");
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(data.join("secret").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let secret = std::fs::read(data.join("secret")).unwrap();
    assert!(running.stop().success());
    assert!(!data.join("instance.json").exists());
    let again = Process::start(place.path(), &["up"]);
    assert_eq!(std::fs::read(data.join("secret")).unwrap(), secret);
    assert!(again.stop().success());
}

#[test]
fn a_killed_process_leaves_no_lock_behind() {
    let place = place();
    Process::start(place.path(), &["up"]).kill();
    assert!(Process::start(place.path(), &["up"]).stop().success());
}

#[test]
fn settings_are_shown_with_their_origins_and_without_secrets() {
    let place = place();
    std::fs::write(place.path().join("verbatim.toml"), "[web]\npassword = 'hunter2'\n").unwrap();
    std::fs::write(place.path().join(".env"), "VERBATIM_WEB__TITLE=mine\n").unwrap();
    let output = output(place.path(), &["config", "check", "--default-provider", "anthropic"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for (key, value, origin) in [
        ("default_provider", "\"anthropic\"", "flag --default-provider"),
        ("web.password", "\"********\"", "verbatim.toml:2"),
        ("web.title", "\"mine\"", "environment variable VERBATIM_WEB__TITLE"),
        ("gateway.capture", "\"best_effort\"", "default"),
    ] {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        assert!(line.contains(value) && line.ends_with(origin), "{line}");
    }
    assert!(!text.contains("hunter2"));
}
