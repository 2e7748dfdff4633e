//! What the overview promises.

use std::time::Duration;

use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{Clock, SystemClock};
use verbatim_testkit::ExchangeBuilder;

use crate::client::Site;

/// The span that is on, in hours, and whether the page chose it.
async fn shown(site: &Site, path: &str) -> (String, bool) {
    let html = site.page(path).await;
    let on = html.find("\" aria-current=\"true\"").expect("one span is on");
    let hours = html[..on].rsplit("hours=").next().unwrap().to_owned();
    assert!(html.contains(&format!("data-hours=\"{hours}\"")), "{hours}");
    (hours, html.contains("data-fitted"))
}

fn add(site: &Site, minutes_ago: u64) {
    let at = SystemClock.now().minus(Duration::from_secs(minutes_ago * 60));
    site.add(ExchangeBuilder::new(ExchangeId::lowest_at(at)).with(|exchange| exchange.began_at = at));
}

#[tokio::test]
async fn the_span_fits_what_there_is_until_one_is_picked() {
    const DAY: u64 = 24 * 60;
    for (calls, expected) in [
        (vec![], "1"),
        (vec![5], "1"),
        (vec![5, 59], "1"),
        (vec![5, 70], "24"),
        (vec![5, 400 * DAY], "24"),
        (vec![3 * DAY], "168"),
        (vec![20 * DAY, 300 * DAY], "720"),
        (vec![300 * DAY], "24"),
    ] {
        let site = Site::new().await;
        calls.iter().for_each(|&minutes| add(&site, minutes));
        assert_eq!(shown(&site, "/").await, (expected.to_owned(), true), "{calls:?}");
        assert_eq!(shown(&site, "/?hours=168").await, ("168".to_owned(), false), "{calls:?}");
    }
}

#[tokio::test]
async fn an_archive_that_can_not_be_asked_is_told() {
    let site = Site::new().await;
    site.world.archive.down.set(true);
    assert!(site.page("/").await.contains("can&#39;t be asked right now"));
}
