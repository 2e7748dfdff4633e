//! When chunks passed, as a picture.

use verbatim_core::model::{ChunkTime, Exchange, Leg, LegBody};

use super::format;
use crate::reading::Bodies;

/// The picture's width in its own units.
const WIDTH: f64 = 1000.0;
/// A lane's height.
const LANE: f64 = 44.0;
/// Bars are at least so far apart; nearer ones are one.
const NEAREST: f64 = 3.0;

/// One or more chunks that passed at nearly the same time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) height: String,
    pub(crate) title: String,
}

/// A chunk in the table.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) at: String,
    pub(crate) gap: String,
    pub(crate) offset: String,
    pub(crate) size: String,
}

/// One leg's chunks.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) is_request: bool,
    pub(crate) bars: Vec<Bar>,
    pub(crate) chunks: String,
    pub(crate) one: bool,
    pub(crate) bytes: String,
    pub(crate) longest_gap: Option<String>,
    pub(crate) gap_x: String,
    pub(crate) gap_width: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) more: bool,
}

/// The whole picture.
#[derive(Debug, Clone, Default)]
pub(crate) struct TimelineView {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) first_token_x: Option<String>,
    /// Marks along the time axis: where, and what time.
    pub(crate) ticks: Vec<(String, String)>,
    /// How long it took in all.
    pub(crate) total: String,
    /// Whether the answer came in pieces that can be played.
    pub(crate) playable: bool,
}

/// Draws the chunks of an exchange.
pub(crate) fn draw(exchange: &Exchange, bodies: &Bodies) -> TimelineView {
    let legs: Vec<&LegBody> = [Leg::ClientRequest, Leg::ClientResponse]
        .into_iter()
        .filter_map(|leg| bodies.leg(leg))
        .filter(|body| !body.timeline.chunks.is_empty())
        .collect();
    let last = legs.iter().filter_map(|body| body.timeline.chunks.last()).map(|chunk| chunk.at_us).max();
    let Some(last) = last else { return TimelineView::default() };
    let total = exchange.duration_us.unwrap_or(last).max(last).max(1);
    let x = |at_us: u64| at_us as f64 / total as f64 * WIDTH;
    TimelineView {
        lanes: legs.iter().map(|body| lane(body, &x)).collect(),
        total: format::duration(total),
        playable: legs.iter().any(|body| !body.info.leg.is_request() && body.timeline.chunks.len() > 1),
        first_token_x: exchange.first_token_us.map(|at| format!("{:.1}", x(at.min(total)))),
        ticks: (0..=4).map(|at| (format!("{:.0}", WIDTH * f64::from(at) / 4.0), tick(total, at))).collect(),
    }
}

fn tick(total: u64, at: u32) -> String {
    if at == 0 { "0".to_owned() } else { format::duration(total / 4 * u64::from(at)) }
}

fn lane(body: &LegBody, x: &dyn Fn(u64) -> f64) -> Lane {
    const LISTED: usize = 200;
    let chunks = &body.timeline.chunks;
    let sizes: Vec<u64> = sizes(chunks, body.info.length);
    let gap = longest_gap(chunks);
    Lane {
        is_request: body.info.leg.is_request(),
        bars: bars(chunks, &sizes, x),
        chunks: format::count(chunks.len() as u64),
        one: chunks.len() == 1,
        bytes: format::bytes(body.info.length),
        longest_gap: gap.map(|(from, to)| format::duration(to - from)),
        gap_x: gap.map(|(from, _)| format!("{:.1}", x(from))).unwrap_or_default(),
        gap_width: gap.map(|(from, to)| format!("{:.1}", (x(to) - x(from)).max(0.5))).unwrap_or_default(),
        lines: lines(chunks, &sizes).take(LISTED).collect(),
        more: chunks.len() > LISTED,
    }
}

fn sizes(chunks: &[ChunkTime], length: u64) -> Vec<u64> {
    let ends = chunks.iter().skip(1).map(|chunk| chunk.offset).chain([length]);
    chunks.iter().zip(ends).map(|(chunk, end)| end.saturating_sub(chunk.offset)).collect()
}

/// The longest stretch without a chunk, if one stands out.
fn longest_gap(chunks: &[ChunkTime]) -> Option<(u64, u64)> {
    let gaps = chunks.windows(2).map(|pair| (pair[0].at_us, pair[1].at_us.max(pair[0].at_us)));
    gaps.max_by_key(|(from, to)| to - from).filter(|(from, to)| to > from)
}

fn bars(chunks: &[ChunkTime], sizes: &[u64], x: &dyn Fn(u64) -> f64) -> Vec<Bar> {
    // Chunks that fall on one spot become one bar.
    let mut spots: Vec<(f64, u64, u64, u64)> = Vec::new();
    for (chunk, &size) in chunks.iter().zip(sizes) {
        let at = x(chunk.at_us);
        match spots.last_mut() {
            Some(spot) if at - spot.0 < NEAREST => {
                spot.1 += size;
                spot.2 += 1;
            }
            _ => spots.push((at, size, 1, chunk.at_us)),
        }
    }
    let most = spots.iter().map(|spot| spot.1).max().unwrap_or(1).max(1);
    spots
        .into_iter()
        .map(|(at, size, count, at_us)| {
            // Sizes span orders of magnitude: a logarithm keeps small chunks visible.
            let share = (1.0 + size as f64).ln() / (1.0 + most as f64).ln().max(f64::MIN_POSITIVE);
            let height = (share * (LANE - 6.0)).clamp(3.0, LANE - 6.0);
            let several = if count > 1 { format!(" · {count}×") } else { String::new() };
            Bar {
                x: format!("{:.1}", at.min(WIDTH - 2.0)),
                y: format!("{:.1}", LANE - height),
                height: format!("{height:.1}"),
                title: format!("{} · {}{several}", format::duration(at_us), format::bytes(size)),
            }
        })
        .collect()
}

fn lines(chunks: &[ChunkTime], sizes: &[u64]) -> impl Iterator<Item = Line> {
    let before = std::iter::once(None).chain(chunks.iter().map(|chunk| Some(chunk.at_us)));
    chunks.iter().zip(sizes).zip(before).map(|((chunk, &size), before)| Line {
        at: format::duration(chunk.at_us),
        gap: before.map_or_else(String::new, |before| {
            format!("+{}", format::duration(chunk.at_us.saturating_sub(before)))
        }),
        offset: format::count(chunk.offset),
        size: format::bytes(size),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(times: &[(u64, u64)]) -> Vec<ChunkTime> {
        times.iter().map(|&(offset, at_us)| ChunkTime { offset, at_us }).collect()
    }

    #[test]
    fn ten_thousand_chunks_are_at_most_some_hundred_bars() {
        let chunks = chunks(&(0..10_000).map(|at| (at * 10, at * 100)).collect::<Vec<_>>());
        let sizes = sizes(&chunks, 100_000);
        let bars = bars(&chunks, &sizes, &|at| at as f64 / 1_000.0);
        assert!((300..=340).contains(&bars.len()), "{}", bars.len());
    }

    #[test]
    fn the_longest_gap_is_between_the_chunks_it_separates() {
        assert_eq!(longest_gap(&chunks(&[(0, 10), (5, 20), (9, 700), (12, 710)])), Some((20, 700)));
        assert_eq!(longest_gap(&chunks(&[(0, 10)])), None);
        assert_eq!(longest_gap(&chunks(&[(0, 10), (1, 10)])), None);
    }

    #[test]
    fn sizes_add_up_to_the_body() {
        assert_eq!(sizes(&chunks(&[(0, 1), (4, 2), (10, 3)]), 12), [4, 6, 2]);
    }
}
