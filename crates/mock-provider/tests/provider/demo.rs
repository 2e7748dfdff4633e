//! The demo's calls are answered by the mock as the demo expects.

use verbatim_mock_provider::demo;

use crate::client::{call, mock};

/// What a stream or a whole answer says, as text that a later call would have in its body: the longest run of
/// letters, which survives any escaping.
fn telling(scenario: &demo::Scenario, place: usize) -> Option<String> {
    let later: serde_json::Value = serde_json::from_str(&scenario.calls.get(place + 1)?.body).ok()?;
    let said = ["messages", "input", "contents"].into_iter().find_map(|key| later[key].as_array())?;
    let answer =
        said.iter().rev().find(|item| matches!(item["role"].as_str(), Some("assistant" | "model")))?;
    let text = answer["content"]
        .as_str()
        .or_else(|| answer["content"][0]["text"].as_str())
        .or_else(|| answer["parts"][0]["text"].as_str())?;
    text.split(|c: char| !c.is_alphanumeric()).max_by_key(|word| word.len()).map(str::to_owned)
}

#[tokio::test]
async fn conversations_repeat_what_the_mock_really_answered() {
    let mock = mock().await;
    let mut compared = 0;
    for scenario in demo::scenarios(11).take(60) {
        for (place, sample) in scenario.calls.iter().enumerate() {
            let failing = sample.headers.iter().any(|(_, value)| value.contains("status="));
            let headers: String = sample
                .headers
                .iter()
                .filter(|(name, value)| *name != "x-mock" || value.contains("status="))
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            let received = call(&mock, sample.method, &sample.path, &headers, sample.body.as_bytes()).await;
            assert_eq!(received.status >= 400, failing, "{} {}", sample.path, received.text());
            // Streamed words come in pieces; whole answers can be compared.
            if received.chunks.is_empty()
                && !failing
                && let Some(word) = telling(&scenario, place)
            {
                assert!(received.text().contains(&word), "{word} is not in {}", received.text());
                compared += 1;
            }
        }
    }
    assert!(compared > 3, "{compared}");
    mock.shutdown().await;
}
