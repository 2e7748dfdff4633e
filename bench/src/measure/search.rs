//! Word search on Meilisearch: an outbox drained into it, an index built anew, and searches through the dashboard's API.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use verbatim_core::ports::{Archive, Commit};
use verbatim_testkit::traffic::{Words, call};

use super::{Bench, Meilisearch};
use crate::machine;
use crate::report::Report;
use crate::scale_out::Engines;
use crate::targets::{Mock, get_json};

/// Bytes of a request, and of an answer.
const BODY: usize = 1024;
const COMMITTERS: usize = 2;
const COMMITTED_AT_ONCE: usize = 256;
/// Searches of each kind.
const LOOKS: usize = 100;

/// An index that is complete is kept up, built anew, and searched; it is deleted afterwards.
pub(crate) async fn search(bench: &Bench, report: &mut Report) -> Result<()> {
    let Some(given) = &bench.meilisearch else {
        let why = "not measured: no Meilisearch given (--meili-url)".to_owned();
        report.figure("indexer draining its outbox, and word search", why);
        return Ok(());
    };
    let index = format!("bench-{}", std::process::id());
    let measured = on(bench, given, &index, report).await;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let delete = client.delete(format!("{}/indexes/{index}", given.url.trim_end_matches('/')));
    delete.bearer_auth(&given.key).send().await?;
    measured
}

async fn on(bench: &Bench, given: &Meilisearch, index: &str, report: &mut Report) -> Result<()> {
    let mock = Mock::start(&bench.binaries).await?;
    let mut engines = Engines::start(&bench.binaries, mock.address).await?;
    engines.set("VERBATIM_MEILISEARCH__URL", &given.url);
    engines.set("VERBATIM_MEILISEARCH__API_KEY", &given.key);
    engines.set("VERBATIM_MEILISEARCH__INDEX", index);
    engines.run(&bench.binaries, "reindex")?;
    fill(&engines, bench.documents).await?;

    let began = Instant::now();
    let (indexer, _) = engines.role(&bench.binaries, "indexer").await?;
    engines.wait_indexed().await?;
    let (took, documents) = (began.elapsed().as_secs_f64(), bench.documents as f64);
    let rate = documents / took;
    report.budget(
        "indexer draining its outbox into Meilisearch, exchanges of 1 KB + 1 KB",
        format!("{rate:.0}/s: {documents} in {took:.1} s, its start included"),
        ">= 3,000/s",
        rate >= 3_000.0,
    );
    report.figure("indexer, peak memory meanwhile", format!("{:.0} MiB", machine::peak_mib(indexer.id())?));
    indexer.stop()?;

    let began = Instant::now();
    engines.run(&bench.binaries, "reindex")?;
    let took = began.elapsed().as_secs_f64();
    report.figure("index built anew beside the one that answers", format!("{:.0}/s", documents / took));
    searches(bench, &engines, report).await
}

/// Records, with an outbox entry each.
async fn fill(engines: &Engines, documents: usize) -> Result<()> {
    let archive = Arc::new(engines.archive().await?);
    ensure!(!archive.keep_outbox().await?, "entries are missing though the index was built");
    let mut committers = JoinSet::new();
    for committer in 0..COMMITTERS {
        let (archive, mut words) = (Arc::clone(&archive), Words::new(committer as u64 + 1));
        let mut left = documents / COMMITTERS + usize::from(committer < documents % COMMITTERS);
        committers.spawn(async move {
            while left > 0 {
                let count = left.min(COMMITTED_AT_ONCE);
                let batch = (0..count).map(|_| Commit { record: call(&mut words, BODY) }).collect();
                archive.commit(batch).await?;
                left -= count;
            }
            anyhow::Ok(())
        });
    }
    while let Some(committed) = committers.join_next().await {
        committed??;
    }
    archive.close().await;
    Ok(())
}

/// Pages of what is found, with a filter, newest first, with what was found marked.
async fn searches(bench: &Bench, engines: &Engines, report: &mut Report) -> Result<()> {
    let (web, address) = engines.role(&bench.binaries, "web").await?;
    let began = Instant::now();
    while get_json(address, "/api/v1/exchanges?limit=1").await.is_err() {
        ensure!(began.elapsed() < Duration::from_secs(60), "the dashboard does not get its engines");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut all = Histogram::<u64>::new_with_max(60_000_000, 3)?;
    let mut words = Words::new(COMMITTERS as u64 + 1);
    for (what, count, phrase) in
        [("a word", 1, false), ("three words", 3, false), ("a phrase of two words", 2, true)]
    {
        let mut times = Histogram::<u64>::new_with_max(60_000_000, 3)?;
        for _ in 0..LOOKS {
            let text = words.text(200);
            // Those in the middle are whole.
            let chosen: Vec<&str> =
                text.split(' ').filter(|word| word.len() > 3).skip(1).take(count).collect();
            ensure!(chosen.len() == count, "too few words in {text}");
            let quote = if phrase { "%22" } else { "" };
            let query = format!("{quote}{}{quote}+model:gpt-4o-mini", chosen.join("+"));
            let began = Instant::now();
            let page = get_json(address, &format!("/api/v1/exchanges?limit=50&q={query}")).await?;
            let took = u64::try_from(began.elapsed().as_micros())?;
            ensure!(page["answered_by"] == "search_index", "{query}: {page}");
            ensure!(phrase || count > 1 || page["items"][0].is_object(), "{query} finds nothing");
            times.saturating_record(took);
            all.saturating_record(took);
        }
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1_000.0;
        report.figure(
            &format!("search for {what} with a filter, through the dashboard"),
            format!("p50 {:.1} ms, p95 {:.1} ms", at(0.5), at(0.95)),
        );
    }
    let p95 = all.value_at_quantile(0.95) as f64 / 1_000.0;
    report.budget(
        &format!(
            "word search over {} documents with filter, order and marks, through the dashboard, p95",
            bench.documents
        ),
        format!("{p95:.1} ms"),
        "<= 50 ms",
        p95 <= 50.0,
    );
    web.stop().context("the dashboard")
}
