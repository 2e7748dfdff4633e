//! `verbatim run`: a program's calls go through a relay, whichever there is, and the program is left to itself.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{Process, complaint, configure, output, place, read_all, verbatim, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use verbatim_mock_provider::{Config, MockProvider};

/// Tells its base URL, waits for a line, and exits with 7.
const PROGRAM: &str = "echo $OPENAI_BASE_URL; read line; echo got $line; exit 7";

/// Starts a shell program under `verbatim run`; gives the process and the first line that the program writes.
fn start(directory: &Path, program: &str) -> (Child, String, BufReader<std::process::ChildStdout>) {
    start_command(verbatim(directory, &["run", "--", "sh", "-c", program]))
}

fn start_command(mut command: Command) -> (Child, String, BufReader<std::process::ChildStdout>) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    (child, first.trim().to_owned(), lines)
}

async fn call(base_url: &str) {
    let body = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "hello" }] });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{base_url}/chat/completions");
    let answer =
        client.post(url).header("content-type", "application/json").body(body.to_string()).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap();
}

/// Runs the program with one call; gives what `verbatim run` said at the end.
async fn run_with_one_call(mut command: Command) -> (String, String) {
    command.args(["run", "--", "sh", "-c", PROGRAM]);
    let (mut child, base_url, mut lines) = start_command(command);
    assert!(base_url.contains("/~sh-") && base_url.ends_with("/v1"), "{base_url}");
    call(&base_url).await;
    child.stdin.take().unwrap().write_all(b"it\n").unwrap();
    let mut rest = String::new();
    lines.read_line(&mut rest).unwrap();
    assert_eq!(rest.trim(), "got it");
    let said = read_all(child.stderr.take().unwrap());
    assert_eq!(child.wait().unwrap().code(), Some(7), "{said}");
    let session = base_url.split("/~").nth(1).unwrap().trim_end_matches("/v1").to_owned();
    (said, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_instance_a_program_gets_a_relay_of_its_own() {
    let (place, mock) = (place(), MockProvider::start(Config::default()).await.unwrap());
    configure(place.path(), &mock.base_url());
    let (said, session) = run_with_one_call(verbatim(place.path(), &["--config", "verbatim.toml"])).await;
    assert!(said.contains(&format!("session {session}: 1 call,")), "{said}");
    assert!(
        said.contains(&format!("calls for openai go to {}/v1 (verbatim.toml:4)", mock.base_url())),
        "{said}"
    );
    assert!(said.contains(&format!("/exchanges?q=session:{session}")), "{said}");
    // It is gone, and what it recorded stays.
    assert!(Process::start(place.path(), &["up"]).stop().success());
    mock.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_instance_a_program_uses_that_one() {
    let (place, mock) = (place(), MockProvider::start(Config::default()).await.unwrap());
    configure(place.path(), &mock.base_url());
    let process = Process::start(place.path(), &["up"]);
    let (said, session) = run_with_one_call(verbatim(place.path(), &[])).await;
    assert!(said.contains(&format!("session {session}: 1 call,")), "{said}");
    // The one that runs says where its calls go: `up` reads the file in its directory.
    assert!(
        said.contains(&format!("calls for openai go to {}/v1 (verbatim.toml:4)", mock.base_url())),
        "{said}"
    );
    assert!(said.contains(&format!("{}/exchanges?q=session:{session}", process.instance.web)), "{said}");
    assert!(process.stop().success());
    mock.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_the_working_directory_do_not_decide_where_keys_go() {
    let mine = MockProvider::start(Config::default()).await.unwrap();
    let evil = MockProvider::start(Config::default()).await.unwrap();
    for file in ["verbatim.toml", ".env"] {
        let place = place();
        let url = evil.base_url();
        if file == ".env" {
            let text =
                format!("VERBATIM_UPSTREAM={url}\nANTHROPIC_BASE_URL={url}\nVERBATIM_CONFIG=none.toml\n");
            std::fs::write(place.path().join(file), text).unwrap();
        } else {
            configure(place.path(), &url);
        }
        let mut command = verbatim(place.path(), &[]);
        command.env("OPENAI_BASE_URL", format!("{}/v1", mine.base_url()));
        let (said, session) = run_with_one_call(command).await;
        assert!(said.contains(&format!("session {session}: 1 call,")), "{said}");
        let told =
            format!("calls for openai go to {}/v1 (environment variable OPENAI_BASE_URL)", mine.base_url());
        assert!(said.contains(&told) && said.contains(file) && !said.contains(&url), "{said}");
    }
    assert_eq!((mine.ledger().totals().begun, evil.ledger().totals().begun), (2, 0));
    mine.shutdown().await;
    evil.shutdown().await;
}

#[test]
fn a_program_that_calls_nothing_is_told_where_to_look() {
    let place = place();
    let output = output(place.path(), &["run", "--", "sh", "-c", "exit 3"]);
    assert_eq!(output.status.code(), Some(3));
    let said = complaint(&output);
    assert!(said.contains("no call came through the relay") && !said.contains("/exchanges"), "{said}");
}

#[test]
fn every_base_url_leads_to_the_relay() {
    let place = place();
    let output = output(place.path(), &["run", "--", "env"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for name in
        ["OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OLLAMA_HOST"]
    {
        let line = text.lines().find(|line| line.starts_with(&format!("{name}="))).unwrap();
        assert!(line.contains("=http://127.0.0.1:") && line.contains("/~env-"), "{line}");
    }
    assert!(text.contains("NO_PROXY=127.0.0.1,localhost,::1"), "{text}");
}

#[test]
fn a_program_keeps_its_limit_of_open_files_and_the_relay_raises_its_own() {
    let place = place();
    let usual = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let program = "ulimit -n; grep 'open files' /proc/$PPID/limits";
    let output = output(place.path(), &["run", "--", "sh", "-c", program]);
    let text = String::from_utf8(output.stdout).unwrap();
    let (own, relay) = text.split_once('\n').unwrap();
    let shown = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    assert_eq!(own, shown(usual.current));
    let relay: u64 = relay.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(relay >= usual.maximum.unwrap_or(u64::MAX).min(65_536), "{text}");
}

#[test]
fn a_program_that_is_not_there_exits_127() {
    let place = place();
    let output = output(place.path(), &["run", "--", "no-such-program"]);
    assert_eq!(output.status.code(), Some(127));
    let said = complaint(&output);
    assert!(said.contains("no-such-program can't be run") && said.trim_end().lines().count() == 1, "{said}");
}

#[test]
fn what_ends_verbatim_is_sent_on_to_the_program() {
    let place = place();
    let program = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    let (mut child, first, _lines) = start(place.path(), program);
    assert_eq!(first, "ready");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let status = wait_for("the program to end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(9));
}

#[test]
fn a_program_that_a_signal_ended_exits_as_shells_tell_it() {
    let place = place();
    let output = output(place.path(), &["run", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(output.status.code(), Some(128 + 9));
}
