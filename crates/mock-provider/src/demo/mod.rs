//! Sample traffic that looks like a small company's: several applications, in several dialects and languages,
//! with sessions, tools, errors and people who leave mid-answer. Only the calls are made here; sending them is
//! the caller's part.
//!
//! A conversation repeats what was answered before, as applications do. Because the mock's answers follow from
//! the request alone, they are known beforehand, and later calls of a [`Scenario`] have them in their bodies.

mod agents;
mod conversation;
mod errands;
mod questions;

use std::time::Duration;

use crate::random::Draw;

/// One session of one application: calls to be sent in order, each once the one before has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// The application, as in the calls' `x-title`.
    pub app: &'static str,
    /// The session's name, as in the calls' `x-verbatim-session`.
    pub session: String,
    /// What it sends.
    pub calls: Vec<SampleCall>,
    /// How long to wait before the next scenario begins; it may begin while this one is under way.
    pub next_after: Duration,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleCall {
    /// The method.
    pub method: &'static str,
    /// Path and query, with the version prefix that the dialect's clients use.
    pub path: String,
    /// The headers, credentials and directives to the mock (`x-mock`) included; not `host` and the framing.
    pub headers: Vec<(&'static str, String)>,
    /// The body: JSON, or empty.
    pub body: String,
    /// How long to wait after the call before it.
    pub pause: Duration,
    /// Leave without reading on, so long after the request was sent.
    pub leave_after: Option<Duration>,
}

/// An endless stream of scenarios; the same for the same seed.
pub fn scenarios(seed: u64) -> Scenarios {
    Scenarios { draw: Draw::new(seed), number: 0 }
}

/// Makes a session of some kind.
type Kind = fn(&mut Draw) -> (App, Vec<SampleCall>);

/// See [`scenarios`].
#[derive(Debug, Clone)]
pub struct Scenarios {
    draw: Draw,
    number: u64,
}

impl Iterator for Scenarios {
    type Item = Scenario;

    fn next(&mut self) -> Option<Scenario> {
        let kinds: &[(usize, Kind)] = &[
            (34, questions::chat),
            (22, agents::agent),
            (8, questions::reasoning),
            (8, errands::extraction),
            (8, errands::embeddings),
            (4, errands::moderation),
            (3, errands::models),
            (6, errands::rate_limit),
            (3, errands::server_error),
            (4, questions::left_early),
        ];
        // The first few show one of each that matters, so that a new dashboard is not all alike.
        let first: &[usize] = &[0, 1, 0, 7, 1, 9, 3];
        let chosen = usize::try_from(self.number).ok().and_then(|number| first.get(number).copied());
        let kind =
            chosen.unwrap_or_else(|| weighted(kinds.iter().map(|(weight, _)| *weight), &mut self.draw));
        self.number += 1;
        let (app, mut calls) = kinds.get(kind)?.1(&mut self.draw);
        let session = format!("{}-{}", app.name, self.draw.letters(6).to_lowercase());
        for call in &mut calls {
            call.headers.extend(app.headers(&session));
        }
        let next_after = Duration::from_millis(150 + self.draw.below(1500) as u64);
        Some(Scenario { app: app.name, session, calls, next_after })
    }
}

/// An index drawn by weight.
fn weighted(weights: impl Iterator<Item = usize> + Clone, draw: &mut Draw) -> usize {
    let mut left = draw.below(weights.clone().sum());
    for (index, weight) in weights.enumerate() {
        if left < weight {
            return index;
        }
        left -= weight;
    }
    0
}

/// An application that sends calls.
#[derive(Clone, Copy)]
struct App {
    name: &'static str,
    project: &'static str,
    agent: &'static str,
}

impl App {
    fn headers(&self, session: &str) -> Vec<(&'static str, String)> {
        vec![
            ("user-agent", self.agent.to_owned()),
            ("x-title", self.name.to_owned()),
            ("x-verbatim-session", session.to_owned()),
            ("x-verbatim-project", self.project.to_owned()),
        ]
    }
}

const DOCS: App = App { name: "docs-assistant", project: "website", agent: "OpenAI/Python 2.8.1" };
const SUPPORT: App = App { name: "support-bot", project: "support", agent: "OpenAI/JS 6.9.0" };
const CODER: App =
    App { name: "coding-agent", project: "engineering", agent: "claude-cli/2.0.46 (external, cli)" };
const TRAVEL: App = App { name: "travel-planner", project: "mobile", agent: "google-genai-sdk/1.52.0" };
const ANALYST: App = App { name: "analyst", project: "research", agent: "OpenAI/Python 2.8.1" };
const LOCAL: App = App { name: "local-notes", project: "research", agent: "ollama-python/0.6.1" };
const INDEXER: App = App { name: "knowledge-index", project: "website", agent: "langchain-openai/1.0.3" };

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    fn sample() -> Vec<Scenario> {
        scenarios(7).take(300).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_scenarios() {
        assert_eq!(scenarios(1).take(50).collect::<Vec<_>>(), scenarios(1).take(50).collect::<Vec<_>>());
        assert_ne!(scenarios(1).take(50).collect::<Vec<_>>(), scenarios(2).take(50).collect::<Vec<_>>());
    }

    #[test]
    fn there_is_something_of_everything() {
        let sample = sample();
        let calls = || sample.iter().flat_map(|scenario| &scenario.calls);
        for end in [
            "/chat/completions",
            "/responses",
            "/messages",
            "/embeddings",
            "/moderations",
            "/models",
            "/api/chat",
        ] {
            assert!(calls().any(|call| call.path.ends_with(end)), "{end}");
        }
        assert!(calls().any(|call| call.path.contains(":streamGenerateContent?alt=sse")));
        let apps: HashSet<_> = sample.iter().map(|scenario| scenario.app).collect();
        assert!(apps.len() >= 6, "{apps:?}");
        for word in ["数据库", "データベース", "데이터베이스", "database"] {
            assert!(calls().any(|call| call.body.contains(word)), "{word}");
        }
        for directive in ["status=429", "status=500", "chunk-delay"] {
            let directs =
                |call: &&SampleCall| call.headers.iter().any(|(_, value)| value.contains(directive));
            assert!(calls().any(|call| directs(&call)), "{directive}");
        }
        assert!(calls().any(|call| call.leave_after.is_some()));
        assert!(sample.iter().any(|scenario| scenario.calls.len() >= 5));
    }

    #[test]
    fn every_body_is_json_and_every_header_fit_to_send() {
        for scenario in sample() {
            assert!(!scenario.calls.is_empty());
            for call in &scenario.calls {
                assert!(call.body.is_empty() || serde_json::from_str::<Value>(&call.body).is_ok());
                for (name, value) in &call.headers {
                    assert!(http::HeaderName::from_static(name) != "host");
                    assert!(http::HeaderValue::from_str(value).is_ok());
                }
                if let Some((_, directives)) = call.headers.iter().find(|(name, _)| *name == "x-mock") {
                    assert!(crate::Directives::parse(directives).is_ok(), "{directives}");
                }
            }
        }
    }
}
