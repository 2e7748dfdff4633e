//! One process that relays, records and shows: from the first call to the end in order.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Process, complaint, configure, output, place, verbatim, wait_for};
use rustix::process::Signal;
use serde_json::{Value, json};
use verbatim_mock_provider::{Config, MockProvider};

const QUESTION: &str = "What is the weather in 杭州?";

/// Asks the relay, and gives the exchange's id and the answer's body.
async fn ask(gateway: &str) -> (String, Vec<u8>) {
    let body = json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": QUESTION }] });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client
        .post(format!("{gateway}/v1/chat/completions"))
        .bearer_auth("sk-mine")
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-verbatim-id"].to_str().unwrap().to_owned();
    (id, answer.bytes().await.unwrap().to_vec())
}

/// What the API says, if it says it with 200.
async fn get(url: String) -> Option<Vec<u8>> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.ok().filter(|answer| answer.status() == 200)?;
    Some(answer.bytes().await.ok()?.to_vec())
}

/// The exchange, once it is archived and has ended.
async fn archived(web: &str, id: &str) -> Value {
    let began = std::time::Instant::now();
    loop {
        let exchange = get(format!("{web}/api/v1/exchanges/{id}")).await;
        let exchange = exchange.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        match exchange {
            Some(exchange) if exchange["outcome"] != "running" => return exchange,
            _ => assert!(began.elapsed() < crate::support::PATIENCE, "{id} is not archived"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_relayed_archived_and_there_after_a_restart() {
    let (place, mock) = (place(), MockProvider::start(Config::default()).await.unwrap());
    configure(place.path(), &mock.base_url());
    let process = Process::start(place.path(), &["up"]);
    let web = process.instance.web.clone();
    let (id, body) = ask(&process.instance.gateway).await;
    let exchange = archived(&web, &id).await;
    assert_eq!((exchange["outcome"].as_str(), exchange["status"].as_u64()), (Some("completed"), Some(200)));
    let leg = get(format!("{web}/api/v1/exchanges/{id}/legs/client_response")).await.unwrap();
    assert_eq!(leg, body);
    let metrics = String::from_utf8(get(format!("{web}/metrics")).await.unwrap()).unwrap();
    assert!(metrics.contains("process_resident_memory_bytes"), "{metrics}");
    assert!(process.stop().success());

    let process = Process::start(place.path(), &["up"]);
    let again = archived(&process.instance.web, &id).await;
    assert_eq!(again["outcome"], "completed");
    assert!(process.stop().success());
    mock.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_captured_when_the_process_ended_is_archived_before_it_is_gone() {
    let (place, mock) = (place(), MockProvider::start(Config::default()).await.unwrap());
    configure(place.path(), &mock.base_url());
    let process = Process::start(place.path(), &["up"]);
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(ask(&process.instance.gateway).await.0);
    }
    // At once: the recorder has to empty the log first.
    assert!(process.stop().success());
    let backup = output(place.path(), &["backup", "copy"]);
    assert!(backup.status.success(), "{}", complaint(&backup));
    assert!(String::from_utf8_lossy(&backup.stdout).starts_with("20 exchanges copied"));
    mock.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_while_running_can_be_used_by_itself() {
    let (place, mock) = (place(), MockProvider::start(Config::default()).await.unwrap());
    configure(place.path(), &mock.base_url());
    let process = Process::start(place.path(), &["up"]);
    let (id, body) = ask(&process.instance.gateway).await;
    archived(&process.instance.web, &id).await;
    let backup = output(place.path(), &["backup", "copy"]);
    assert!(backup.status.success(), "{}", complaint(&backup));
    let refused = output(place.path(), &["backup", "copy"]);
    assert!(complaint(&refused).contains("copy is not empty"), "{}", complaint(&refused));
    // The first one goes on, undisturbed.
    let (after, _) = ask(&process.instance.gateway).await;
    archived(&process.instance.web, &after).await;

    let command = verbatim(place.path(), &["up", "--data-dir", "copy"]);
    let copy = Process::start_command(command, &place.path().join("copy"));
    archived(&copy.instance.web, &id).await;
    let leg = get(format!("{}/api/v1/exchanges/{id}/legs/client_response", copy.instance.web)).await;
    assert_eq!(leg.unwrap(), body);
    assert!(copy.stop().success());
    assert!(process.stop().success());
    mock.shutdown().await;
}

/// What a path is or leads to that others than its owner may read or enter.
fn open_to_others(path: &Path) -> Vec<PathBuf> {
    let meta = std::fs::metadata(path).unwrap();
    let inside = meta.is_dir().then(|| std::fs::read_dir(path).unwrap());
    let mut open: Vec<PathBuf> =
        inside.into_iter().flatten().flat_map(|entry| open_to_others(&entry.unwrap().path())).collect();
    if meta.permissions().mode() & 0o077 != 0 {
        open.push(path.to_owned());
    }
    open
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_for_its_owner_alone_in_a_directory_that_was_there_before_too() {
    let (place, mock) = (place(), MockProvider::start(Config::default()).await.unwrap());
    configure(place.path(), &mock.base_url());
    let process = Process::start(place.path(), &["up"]);
    let (id, _) = ask(&process.instance.gateway).await;
    archived(&process.instance.web, &id).await;
    let copy = place.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    let backup = output(place.path(), &["backup", "copy"]);
    assert!(backup.status.success(), "{}", complaint(&backup));
    assert!(copy.join("archive").is_dir() && copy.join("secret").exists());
    let open = open_to_others(&copy);
    assert!(open.is_empty(), "{open:?}");
    assert!(process.stop().success());
    mock.shutdown().await;
}

/// Waits until a word is found in the exchange, and only there.
async fn found(web: &str, word: &str, id: &str) {
    let began = std::time::Instant::now();
    loop {
        let page = get(format!("{web}/api/v1/exchanges?q={word}")).await;
        let page = page.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()).unwrap_or_default();
        if page["items"].as_array().is_some_and(|items| items.iter().any(|item| item["id"] == id)) {
            return;
        }
        assert!(began.elapsed() < crate::support::PATIENCE, "{word} is not found: {page}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_two_characters_is_found_also_in_an_index_that_was_built_anew() {
    let (place, mock) = (place(), MockProvider::start(Config::default()).await.unwrap());
    configure(place.path(), &mock.base_url());
    let process = Process::start(place.path(), &["up"]);
    let (id, _) = ask(&process.instance.gateway).await;
    found(&process.instance.web, "杭州", &id).await;
    let refused = output(place.path(), &["reindex", "--log-level", "off"]);
    assert!(complaint(&refused).contains("end it first: data directory"), "{}", complaint(&refused));
    assert!(process.stop().success());

    let rebuilt = output(place.path(), &["reindex"]);
    assert!(rebuilt.status.success(), "{}", complaint(&rebuilt));
    assert!(String::from_utf8_lossy(&rebuilt.stdout).starts_with("1 exchanges indexed in"));
    let process = Process::start(place.path(), &["up"]);
    found(&process.instance.web, "杭州", &id).await;
    assert!(process.stop().success());

    // Gone altogether, it comes back by itself.
    std::fs::remove_dir_all(place.path().join("verbatim-data/index")).unwrap();
    let process = Process::start(place.path(), &["up"]);
    found(&process.instance.web, "杭州", &id).await;
    assert!(process.stop().success());
    mock.shutdown().await;
}

#[test]
fn a_second_signal_ends_at_once() {
    let place = place();
    // A call that hangs keeps the relay draining.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    configure(place.path(), &format!("http://{}", silent.local_addr().unwrap()));
    let mut process = Process::start(place.path(), &["up"]);
    let address = process.instance.gateway.trim_start_matches("http://").to_owned();
    let mut call = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut call, b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let (_upstream, _) = silent.accept().unwrap();
    process.signal(Signal::TERM);
    // It drains once it takes no more calls.
    wait_for("the relay to stop accepting", || {
        std::net::TcpStream::connect(process.instance.gateway.trim_start_matches("http://")).err()
    });
    let ended = wait_for("the process to end", || {
        process.signal(Signal::TERM);
        process.ended()
    });
    assert_eq!(ended.code(), Some(128 + 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_what_works_and_what_does_not() {
    let (place, mock) = (place(), MockProvider::start(Config::default()).await.unwrap());
    configure(place.path(), &mock.base_url());
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();

    let before = output(place.path(), &["doctor"]);
    assert!(before.status.success(), "{}", said(&before));
    assert!(said(&before).contains("none runs on this data directory"), "{}", said(&before));

    let process = Process::start(place.path(), &["up"]);
    let running = output(place.path(), &["doctor", "--call"]);
    assert!(running.status.success(), "{}{}", said(&running), complaint(&running));
    assert!(said(&running).contains(&process.instance.gateway) && said(&running).contains("recorded as"));
    assert!(process.stop().success());

    mock.shutdown().await;
    let alone = output(place.path(), &["doctor"]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(
        said(&alone).contains("FAIL  openai") && said(&alone).contains("can't be reached"),
        "{}",
        said(&alone)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_living_traffic_without_network_or_configuration() {
    let place = place();
    let command = verbatim(place.path(), &["demo", "--data-dir", "demo"]);
    let process = Process::start_command(command, &place.path().join("demo"));
    let url = format!("{}/api/v1/exchanges?limit=100", process.instance.web);
    let began = std::time::Instant::now();
    loop {
        let page = get(url.clone()).await.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let providers: std::collections::BTreeSet<String> = page
            .iter()
            .flat_map(|page| page["items"].as_array().into_iter().flatten())
            .filter_map(|exchange| exchange["provider"].as_str().map(str::to_owned))
            .collect();
        if providers.len() >= 2 {
            break;
        }
        assert!(began.elapsed() < crate::support::PATIENCE, "{providers:?} of {page:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let doctor = output(place.path(), &["doctor", "--data-dir", "demo"]);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.success() && said.contains("a demo runs here"), "{said}");
    let run = output(place.path(), &["run", "--data-dir", "demo", "--", "true"]);
    let told = complaint(&run);
    assert!(told.contains("made up (demo)") && !told.contains("(default)"), "{told}");
    assert!(process.stop().success());
}

#[test]
fn the_demo_says_what_it_is_and_leaves_nothing_behind_even_if_it_is_hurried() {
    use std::io::BufRead;
    let (place, temporary) = (place(), place());
    let mut command = verbatim(place.path(), &["demo"]);
    command
        .env("TMPDIR", temporary.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut banner = String::new();
    for line in std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        banner += &line;
        banner.push('\n');
        if line.contains("Any text is a key") {
            break;
        }
    }
    let directory = std::fs::read_dir(temporary.path()).unwrap().next().unwrap().unwrap().path();
    for part in [
        "the built-in provider (answers are made up)".to_owned(),
        format!("{}, deleted at the end", directory.display()),
        format!("verbatim --data-dir {} run -- python app.py", directory.display()),
    ] {
        assert!(banner.contains(&part), "{part} is not in {banner}");
    }
    // A call whose body does not come keeps the relay draining; it is under way once its body is asked for.
    let relay = banner.lines().find_map(|line| line.trim().strip_prefix("relay")).unwrap().trim();
    let mut call = std::net::TcpStream::connect(relay.trim_start_matches("http://")).unwrap();
    let head =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    std::io::Write::write_all(&mut call, head).unwrap();
    call.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    std::io::Read::read_exact(&mut call, &mut [0; 12]).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let ended = wait_for("the demo to end", || {
        let ended = child.try_wait().unwrap();
        if ended.is_none() {
            rustix::process::kill_process(pid, Signal::INT).unwrap();
        }
        ended
    });
    assert_eq!(ended.code(), Some(128 + 2));
    assert!(!directory.exists(), "{} is left", directory.display());
}
