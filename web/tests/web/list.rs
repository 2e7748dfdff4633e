//! What the figures above the list promise: they are those of what is listed.

use std::time::Duration;

use verbatim_core::model::{ExchangeId, Outcome};
use verbatim_core::ports::{Clock, SystemClock};
use verbatim_testkit::ExchangeBuilder;

use crate::client::Site;

fn ago(seconds: u64, asked: &str) -> ExchangeBuilder {
    let at = SystemClock.now().minus(Duration::from_secs(seconds));
    ExchangeBuilder::new(ExchangeId::lowest_at(at)).with(|exchange| {
        exchange.began_at = at;
        exchange.asked_preview = asked.to_owned();
        exchange.cost_micros = Some(1_000_000);
        exchange.usage.input_tokens = Some(600);
        exchange.usage.output_tokens = Some(400);
    })
}

/// The figures of a strip in their order, each with what is said below it.
fn figures(html: &str) -> Vec<String> {
    let strip = &html[html.find("id=\"sum\"").expect("a strip")..];
    let strip = &strip[..strip.find("</div>").unwrap()];
    let cells = strip.split("<span>").skip(1);
    cells.map(|cell| cell.split("</span>").next().unwrap().replace("<b>", "").replace("</b>", " ")).collect()
}

#[tokio::test]
async fn the_figures_are_those_of_the_query() {
    let site = Site::new().await;
    for at in 0..10 {
        site.add(ago(60 + at, "rain"));
    }
    for at in 0..3 {
        site.add(ago(80 + at, "snow").with(|exchange| {
            exchange.provider = "other".to_owned();
            exchange.outcome = Outcome::UpstreamError;
        }));
    }
    let page = site.page("/exchanges?q=provider%3Aother").await;
    assert!(page.contains("hx-get=\"/exchanges/sum?q=provider%3Aother&#38;range=all\" hx-trigger=\"load, "));
    for query in ["provider%3Aother", "snow"] {
        let strip = site.page(&format!("/exchanges/sum?q={query}")).await;
        assert!(strip.contains("all that was found"), "{strip}");
        let figures = figures(&strip);
        assert_eq!(figures[0], "3 calls", "{query}");
        assert!(strip.contains("<b id=\"total\" hx-swap-oob=\"innerHTML\">3</b>"), "{strip}");
        assert!(figures[1].starts_with("0"), "{figures:?}");
        assert!(figures.iter().any(|figure| figure.starts_with("3,000")), "{figures:?}");
        assert!(figures.iter().any(|figure| figure.starts_with("$3.00")), "{figures:?}");
    }
    let none = site.page("/exchanges/sum?q=app%3Anobody").await;
    assert_eq!(figures(&none)[0], "0 calls");
}

#[tokio::test]
async fn figures_that_are_not_over_all_that_was_found_say_so() {
    let site = Site::new().await;
    for at in 0..1_100 {
        site.add(ago(60 + at, "rain"));
    }
    let filtered = site.page("/exchanges/sum?q=provider%3Aopenai").await;
    assert_eq!(figures(&filtered)[0], "1,000 newest of 1,100");
    assert!(filtered.contains("of the newest found"));
    let words = site.page("/exchanges/sum?q=rain").await;
    assert_eq!(figures(&words)[0], "300 newest of 1,100");
}

#[tokio::test]
async fn without_a_query_the_figures_are_those_of_the_whole_time() {
    let site = Site::new().await;
    site.add(ago(60, "new"));
    site.add(ago(40 * 24 * 3600, "old"));
    let all = site.page("/exchanges").await;
    assert_eq!(figures(&all)[0], "2 calls");
    assert!(all.contains("all calls</span>"));
    let month = site.page("/exchanges?range=30d").await;
    assert_eq!(figures(&month)[0], "1 call");
    assert!(month.contains("all calls in this time"));
    let narrowed = site.page("/exchanges/sum?q=provider%3Aopenai&range=30d").await;
    assert_eq!(figures(&narrowed)[0], "1 call");
}

#[tokio::test]
async fn what_looks_through_bodies_is_not_done_twice_and_what_can_not_be_summed_is_kept() {
    let site = Site::new().await;
    site.add(ago(60, "rain"));
    assert_eq!(site.get("/exchanges/sum?q=in%3Aall+rain").await.status(), 204);
    assert!(!site.page("/exchanges?q=in%3Aall+rain").await.contains("id=\"sum\""));
    assert_eq!(site.get("/exchanges/sum?q=statsu%3A1").await.status(), 204);
    site.world.archive.down.set(true);
    assert_eq!(site.get("/exchanges/sum?q=provider%3Aopenai").await.status(), 204);
}
