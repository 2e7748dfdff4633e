//! An answer as it came: what could be read of it after each chunk.

use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;
use verbatim_core::model::{Exchange, ExchangeHeads, Leg, LegBody};
use verbatim_dialects::{ExchangeView, Part, Reading};

use crate::error::floor;
use crate::reading::Bodies;

/// Steps at most; chunks beyond come several to a step.
const STEPS: usize = 2_000;
/// The prefixes that are read together, in bytes: each step reads the answer from its beginning.
const READ: u64 = 96 << 20;
/// How long that may take; the rest comes in one step.
const TIME: Duration = Duration::from_secs(4);
/// Text that is played at most, in bytes.
const TEXT: usize = 2 << 20;

/// What a part of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartKind {
    /// What is said.
    Text,
    /// The model's reasoning.
    Reasoning,
    /// A tool's name, and on the next line its arguments.
    ToolCall,
    /// A refusal.
    Refusal,
}

/// What one or more chunks added to a part of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PlaybackStep)]
pub(crate) struct Step {
    /// When it came, in microseconds since the exchange began.
    pub(crate) at_us: u64,
    /// Which part it belongs to, from 0 in order of appearance.
    pub(crate) part: usize,
    /// What that part is.
    pub(crate) kind: PartKind,
    /// The text: behind what the part holds already, or instead of it.
    pub(crate) text: String,
    /// Whether the text replaces what the part holds.
    pub(crate) replaces: bool,
}

/// An answer as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Playback)]
pub(crate) struct Playback {
    /// Microseconds from request head to the end, or to the last chunk.
    pub(crate) duration_us: u64,
    /// When each chunk of the answer passed, in microseconds since the exchange began.
    pub(crate) chunks_us: Vec<u64>,
    /// What came, in order.
    pub(crate) steps: Vec<Step>,
    /// Whether several chunks share a step because there are too many to read each by itself.
    pub(crate) grouped: bool,
    /// Whether the text is longer than what is played.
    pub(crate) cut: bool,
}

/// Reads the answer chunk by chunk.
pub(crate) fn play(exchange: &Exchange, heads: &ExchangeHeads, bodies: &Bodies) -> Playback {
    let Some(body) = bodies.leg(Leg::UpstreamResponse) else { return Playback::default() };
    let chunks_us: Vec<u64> = body.timeline.chunks.iter().map(|chunk| chunk.at_us).collect();
    let last = chunks_us.last().copied().unwrap_or_default();
    let mut playback = Playback {
        duration_us: exchange.duration_us.unwrap_or(last).max(last),
        chunks_us,
        ..Playback::default()
    };
    let ends = ends(body);
    let chosen = choose(&ends, STEPS, READ);
    playback.grouped = chosen.len() < ends.len();
    let began = Instant::now();
    let mut said: Vec<(PartKind, String)> = Vec::new();
    let mut left = TEXT;
    for (at, &chunk) in chosen.iter().enumerate() {
        let is_last = at + 1 == chosen.len();
        if !is_last && began.elapsed() > TIME {
            playback.grouped = true;
            continue;
        }
        let (end, at_us) = ends[chunk];
        let reading = read_until(exchange, heads, body, end);
        for (part, (kind, text)) in parts(&reading).into_iter().enumerate() {
            let Some(step) = difference(said.get(part), part, kind, &text, at_us) else { continue };
            if step.text.len() > left {
                let end = floor(&step.text, left);
                let text = step.text[..end].to_owned();
                playback.steps.push(Step { text, ..step });
                playback.cut = true;
                return playback;
            }
            left -= step.text.len();
            playback.steps.push(step);
            match said.get_mut(part) {
                Some(there) => *there = (kind, text),
                None => said.push((kind, text)),
            }
        }
    }
    playback
}

/// Where each chunk ends, and when it passed.
fn ends(body: &LegBody) -> Vec<(usize, u64)> {
    let chunks = &body.timeline.chunks;
    let ends = chunks.iter().skip(1).map(|chunk| chunk.offset).chain([body.bytes.len() as u64]);
    let end = |end: u64| usize::try_from(end).unwrap_or(usize::MAX).min(body.bytes.len());
    chunks.iter().zip(ends).map(|(chunk, at)| (end(at), chunk.at_us)).collect()
}

/// The chunks to stop behind: all of them, or so many evenly spread ones that not too much is read; the last always.
fn choose(ends: &[(usize, u64)], most: usize, bytes: u64) -> Vec<usize> {
    let Some(last) = ends.len().checked_sub(1) else { return Vec::new() };
    // Read from the beginning each time, the prefixes add up to about half of the body for each step.
    let half = (ends[last].0 as u64 / 2).max(1);
    let steps = usize::try_from(bytes / half).unwrap_or(usize::MAX).clamp(2, most).min(ends.len());
    let mut chosen: Vec<usize> = (1..=steps).map(|step| step * ends.len() / steps - 1).collect();
    chosen.dedup();
    chosen
}

fn read_until(exchange: &Exchange, heads: &ExchangeHeads, body: &LegBody, end: usize) -> Reading {
    verbatim_dialects::read(&ExchangeView {
        response_body: &body.bytes[..end],
        response_complete: false,
        // What was asked is not played, and may be long.
        ..ExchangeView::of(exchange, heads, &[])
    })
}

/// What an answer says, part by part.
fn parts(reading: &Reading) -> Vec<(PartKind, String)> {
    let parts = reading.answer.choices.iter().flat_map(|choice| &choice.parts);
    let said = parts.filter_map(|part| match part {
        Part::Text(text) => Some((PartKind::Text, text.text.clone())),
        Part::Reasoning(reasoning) => Some((PartKind::Reasoning, reasoning.text.clone())),
        Part::Refusal { text } => Some((PartKind::Refusal, text.clone())),
        Part::ToolCall(call) => Some((PartKind::ToolCall, format!("{}\n{}", call.name, call.arguments))),
        _ => None,
    });
    said.collect()
}

/// The step from what a part held to what it holds; `None` where nothing changed.
fn difference(
    before: Option<&(PartKind, String)>,
    part: usize,
    kind: PartKind,
    text: &str,
    at_us: u64,
) -> Option<Step> {
    let step = |text: &str, replaces| Some(Step { at_us, part, kind, text: text.to_owned(), replaces });
    match before {
        None => step(text, false),
        Some((was, said)) if *was == kind => match text.strip_prefix(said.as_str()) {
            Some("") => None,
            Some(added) => step(added, false),
            None => step(text, true),
        },
        Some(_) => step(text, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_a_step_until_that_is_too_much() {
        let ends: Vec<(usize, u64)> = (1..=1_000).map(|at| (at * 100, at as u64)).collect();
        assert_eq!(choose(&ends, 2_000, 1 << 40), (0..1_000).collect::<Vec<_>>());
        let fewer = choose(&ends, 10, 1 << 40);
        assert_eq!((fewer.len(), fewer.last()), (10, Some(&999)));
        // 100,000 bytes, half of them each time, 1,000,000 in all: 20 steps.
        assert_eq!(choose(&ends, 2_000, 1_000_000).len(), 20);
        assert_eq!(choose(&ends, 2_000, 1).last(), Some(&999));
        assert!(choose(&[], 10, 10).is_empty());
    }

    #[test]
    fn a_step_adds_or_replaces() {
        let before = (PartKind::Text, "多云".to_owned());
        let next = |text| difference(Some(&before), 0, PartKind::Text, text, 7);
        let added = next("多云转晴").unwrap();
        assert_eq!((added.text.as_str(), added.replaces), ("转晴", false));
        assert_eq!(next("多云"), None);
        assert!(next("晴").unwrap().replaces);
        assert!(difference(Some(&before), 0, PartKind::Reasoning, "多云", 7).unwrap().replaces);
    }
}
