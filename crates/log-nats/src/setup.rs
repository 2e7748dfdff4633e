//! The streams and consumers that the log needs: made where they are absent, checked where they are not. What we let people
//! set of what is there is changed where that is asked for, and only then: processes whose settings differ would otherwise
//! take turns in changing it.
//!
//! Several processes may do this at once: to make what is there with the same settings is no error.

mod position;

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::error::NatsLogError;
use crate::requests::{ApiError, ApiFailure, Requests};
use crate::survey::Changed;

/// The stream of messages.
pub(crate) const CAPTURE: &str = "CAP";
/// The stream of messages that can't be processed.
pub(crate) const DEAD_LETTERS: &str = "DLQ";
/// The durable consumer of ends.
pub(crate) const RECORDER: &str = "recorder";
/// The durable consumer of starts.
pub(crate) const WATCH: &str = "watch";

/// What the consumer of ends reads.
pub(crate) const ENDS: &str = "cap.end.>";
/// What the consumer of starts reads.
pub(crate) const STARTS: &str = "cap.start.>";

/// What people may set of a consumer, and change later.
const WAIT: &str = "ack_wait";

/// Deliveries of ends that all recorders together may hold.
pub(crate) const RECORDER_PENDING: usize = 1024;
/// Deliveries of starts that all watches together may hold.
pub(crate) const WATCH_PENDING: usize = 4096;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// `insufficient storage resources available`, `resource limits exceeded for account`.
const NO_STORAGE: [u16; 3] = [10047, 10002, 10023];
/// `subjects overlap with an existing stream`.
const OVERLAP: u16 = 10065;
/// `replicas > 1 not supported in non-clustered mode`.
const NO_CLUSTER: u16 = 10074;

#[derive(Deserialize)]
struct Found {
    config: Map<String, Value>,
}

/// What one stream or consumer must be.
struct Wanted {
    /// `stream CAP`.
    what: String,
    /// The consumer's name, if it is one.
    consumer: Option<&'static str>,
    info: String,
    create: String,
    /// What the creating request says.
    question: Value,
    /// What must be as it says; an operator may choose the rest.
    settings: Value,
}

/// Makes what is absent and checks what is there.
pub(crate) async fn ensure(requests: &Requests, config: &Config) -> Result<(), NatsLogError> {
    for wanted in wanted(config) {
        ensure_one(requests, config, &wanted).await?;
        if let Some(consumer) = wanted.consumer {
            position::ensure(requests, config, consumer, &wanted).await?;
        }
    }
    Ok(())
}

fn wanted(config: &Config) -> [Wanted; 4] {
    [
        // Nothing leaves for its age, which would take along what nobody read yet, and tell nobody.
        stream(config, CAPTURE, "cap.>", Duration::ZERO, &json!({ "discard": "new", "allow_direct": true })),
        // A letter that is stored again is the same one for as long as it is kept.
        stream(config, DEAD_LETTERS, "dlq.>", 30 * DAY, &json!({ "duplicate_window": nanos(30 * DAY) })),
        consumer(config, RECORDER, &json!({ "filter_subject": ENDS, "max_ack_pending": RECORDER_PENDING })),
        consumer(
            config,
            WATCH,
            &json!({ "filter_subject": STARTS, "max_ack_pending": WATCH_PENDING, "headers_only": true }),
        ),
    ]
}

fn stream(config: &Config, name: &str, subjects: &str, max_age: Duration, more: &Value) -> Wanted {
    let mut settings = json!({
        "subjects": [subjects],
        "storage": "file",
        "retention": "limits",
        "max_age": nanos(max_age),
        // One for each subject would let messages go that nobody read.
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "no_ack": false,
        "sealed": false,
        "deny_purge": false,
        "mirror": null,
        "sources": null,
    });
    merge(&mut settings, more);
    let max_bytes = match (name, config.max_bytes) {
        (CAPTURE, 1..) => i64::try_from(config.max_bytes).unwrap_or(i64::MAX),
        _ => -1,
    };
    let mut question = json!({
        "name": name,
        "max_bytes": max_bytes,
        "max_msgs": -1,
        "max_consumers": -1,
        "num_replicas": config.replicas.max(1),
    });
    merge(&mut question, &settings);
    Wanted {
        what: format!("stream {name}"),
        consumer: None,
        info: format!("STREAM.INFO.{name}"),
        create: format!("STREAM.CREATE.{name}"),
        question,
        settings,
    }
}

fn consumer(config: &Config, name: &'static str, more: &Value) -> Wanted {
    let mut settings = json!({
        "deliver_policy": "all",
        "ack_policy": "explicit",
        (WAIT): nanos(config.acknowledgement_wait),
        "max_deliver": -1,
        "replay_policy": "instant",
        "headers_only": false,
        "deliver_subject": null,
        "backoff": null,
        "rate_limit_bps": null,
        // Limits on what may be asked for at once: ours are our own.
        "max_batch": null,
        "max_bytes": null,
        "max_expires": null,
        // A consumer that goes away when it is idle forgets what was read.
        "inactive_threshold": null,
    });
    merge(&mut settings, more);
    let mut asked = settings.clone();
    merge(&mut asked, &json!({ "durable_name": name }));
    if let Value::Object(asked) = &mut asked {
        asked.retain(|_, value| !value.is_null());
    }
    Wanted {
        what: format!("consumer {name} of stream {CAPTURE}"),
        consumer: Some(name),
        info: format!("CONSUMER.INFO.{CAPTURE}.{name}"),
        create: format!("CONSUMER.DURABLE.CREATE.{CAPTURE}.{name}"),
        question: json!({ "stream_name": CAPTURE, "config": asked }),
        settings,
    }
}

/// Checks what is there and changes nothing; gives what is absent.
pub(crate) async fn look(requests: &Requests, config: &Config) -> Result<Vec<String>, NatsLogError> {
    let mut absent = Vec::new();
    for wanted in wanted(config) {
        match find(requests, config, &wanted).await? {
            Some(found) => check(requests.shown(), &wanted, &found)?,
            None => absent.push(wanted.what),
        }
    }
    Ok(absent)
}

/// Lets consumers that are there wait for acknowledgements as long as configured.
pub(crate) async fn change_wait(requests: &Requests, config: &Config) -> Result<Vec<Changed>, NatsLogError> {
    let (address, mut differing) = (requests.shown(), Vec::new());
    for wanted in wanted(config) {
        let Some(found) = find(requests, config, &wanted).await? else { continue };
        match check(address, &wanted, &found) {
            Err(NatsLogError::OtherWait { what, found: from, expected: to, .. }) => {
                differing.push((wanted, found, Changed { what, from, to }));
            }
            checked => checked?,
        }
    }
    let mut changes = Vec::new();
    for (wanted, mut settings, change) in differing {
        // As it is but for this: an operator may have chosen what we don't care about.
        settings.insert(WAIT.to_owned(), json!(nanos(change.to)));
        let question = json!({ "stream_name": CAPTURE, "config": settings });
        let changed = requests.api::<Found>(&wanted.create, &question, config.answer_within).await;
        let Found { config: settings } = changed.map_err(|failure| failed(address, &wanted, failure))?;
        check(address, &wanted, &settings)?;
        changes.push(change);
    }
    Ok(changes)
}

/// The settings of what is there.
async fn find(
    requests: &Requests,
    config: &Config,
    wanted: &Wanted,
) -> Result<Option<Map<String, Value>>, NatsLogError> {
    match requests.api::<Found>(&wanted.info, &json!({}), config.answer_within).await {
        Ok(Found { config }) => Ok(Some(config)),
        Err(ApiFailure::Api(error)) if error.is_not_found() => Ok(None),
        Err(failure) => Err(failed(requests.shown(), wanted, failure)),
    }
}

async fn ensure_one(requests: &Requests, config: &Config, wanted: &Wanted) -> Result<(), NatsLogError> {
    let address = requests.shown();
    if let Some(found) = find(requests, config, wanted).await? {
        return check(address, wanted, &found);
    }
    tracing::info!(what = wanted.what, "making what the capture log needs on NATS");
    let made = requests.api::<Found>(&wanted.create, &wanted.question, config.answer_within).await;
    let Found { config: made } = made.map_err(|failure| failed(address, wanted, failure))?;
    check(address, wanted, &made)
}

fn failed(address: &str, wanted: &Wanted, failure: ApiFailure) -> NatsLogError {
    let (address, what) = (address.to_owned(), wanted.what.clone());
    let why = match failure {
        ApiFailure::Port(error) => error.to_string(),
        ApiFailure::Api(error) if is_passing(&error) => error.to_string(),
        ApiFailure::Api(error) => return NatsLogError::NotMade { address, what, why: explain(&error) },
    };
    NatsLogError::Unreachable { address, why: format!("asking for {what}: {why}") }
}

fn is_passing(error: &ApiError) -> bool {
    error.code == 503 && !NO_STORAGE.contains(&error.err_code)
}

fn explain(error: &ApiError) -> String {
    let remedy = match error.err_code {
        OVERLAP => {
            "; another stream takes the subjects: `nats stream ls --subjects` shows which, change or delete it"
        }
        NO_CLUSTER => "; this server is no cluster: configure 1 replica, or a cluster",
        code if NO_STORAGE.contains(&code) => {
            "; give JetStream more storage (max_file_store, the account's limits), or configure fewer max_bytes"
        }
        _ => "",
    };
    format!("{error}{remedy}")
}

fn check(address: &str, wanted: &Wanted, found: &Map<String, Value>) -> Result<(), NatsLogError> {
    let Value::Object(settings) = &wanted.settings else { return Ok(()) };
    let (address, what) = (address.to_owned(), wanted.what.clone());
    let mut other_wait = None;
    for (setting, expected) in settings {
        let found = found.get(setting).unwrap_or(&Value::Null);
        // A server may leave out what has no effect.
        if found == expected || (is_nothing(found) && is_nothing(expected)) {
            continue;
        }
        match (setting.as_str(), found.as_u64(), expected.as_u64()) {
            // What else is wrong is told first: it is not ours to change.
            (WAIT, Some(found), Some(expected)) => other_wait = Some((found, expected)),
            _ => {
                let (expected, found) = (show(setting, expected), show(setting, found));
                return Err(NatsLogError::Foreign {
                    address,
                    what,
                    setting: setting.clone(),
                    expected,
                    found,
                });
            }
        }
    }
    match other_wait.map(|(found, expected)| (Duration::from_nanos(found), Duration::from_nanos(expected))) {
        Some((found, expected)) => Err(NatsLogError::OtherWait { address, what, found, expected }),
        None => Ok(()),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Number(number) => number.as_i64().is_some_and(|number| number <= 0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
    }
}

/// Durations as people write them.
fn show(setting: &str, value: &Value) -> String {
    const DURATIONS: [&str; 5] =
        ["max_age", "duplicate_window", "ack_wait", "inactive_threshold", "max_expires"];
    match value.as_u64().filter(|_| DURATIONS.contains(&setting)) {
        Some(nanos) => format!("{:?}", Duration::from_nanos(nanos)),
        None if value.is_null() => "nothing".to_owned(),
        None => value.to_string(),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn merge(into: &mut Value, more: &Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_may_choose_is_no_difference_and_the_rest_is() {
        let [capture, .., recorder, _] = wanted(&Config::new(["one"]));
        let mut found = capture.question.as_object().unwrap().clone();
        for (setting, value) in
            [("num_replicas", json!(3)), ("max_bytes", json!(5)), ("placement", json!({}))]
        {
            found.insert(setting.to_owned(), value);
        }
        found.remove("sealed");
        check("one", &capture, &found).unwrap();
        found.insert("discard".to_owned(), json!("old"));
        let error = check("one", &capture, &found).unwrap_err().to_string();
        let expected = "NATS at one: stream CAP has discard = \"old\"; expected \"new\"";
        assert!(error.starts_with(expected) && error.contains("nats stream edit"), "{error}");
        let mut found = recorder.question["config"].as_object().unwrap().clone();
        check("one", &recorder, &found).unwrap();
        found.insert("ack_wait".to_owned(), json!(30_000_000_000_u64));
        let error = check("one", &recorder, &found).unwrap_err().to_string();
        let expected =
            "consumer recorder of stream CAP waits 30s for an acknowledgement, and 60s is configured";
        assert!(error.contains(expected) && error.contains("verbatim migrate"), "{error}");
        found.insert("max_deliver".to_owned(), json!(3));
        let error = check("one", &recorder, &found).unwrap_err().to_string();
        assert!(error.contains("max_deliver = 3; expected -1"), "{error}");
    }
}
