//! Sample traffic: enough of every kind to judge a page by.

mod opened;
mod ordinary;

use std::time::Duration;

use verbatim_core::model::ExchangeId;
use verbatim_core::ports::{Clock, SystemClock};
use verbatim_testkit::ExchangeBuilder;

use opened::{agent, chat, hostile, huge, long, thinking};
use ordinary::{Dice, ordinary};

use crate::support::World;

/// Fills an archive with a day of traffic, and with a few exchanges to open.
pub(crate) fn fill(world: &World) {
    let now = SystemClock.now();
    let mut dice = Dice(42);
    for number in 0..1_500 {
        let ago = Duration::from_millis(dice.roll(86_400_000) + 120_000);
        world.add(ordinary(now.minus(ago), &mut dice, number).build());
    }
    for (back, make) in [chat, agent, thinking, hostile, long, huge].into_iter().enumerate() {
        let at = now.minus(Duration::from_secs(10 + 9 * back as u64));
        world.add(make(
            ExchangeBuilder::new(ExchangeId::lowest_at(at)).with(|exchange| exchange.began_at = at),
        ));
    }
}

/// A call every few seconds, some of them slow.
pub(crate) async fn traffic(world: World) {
    let mut dice = Dice(7);
    let mut number = 1_000_000;
    loop {
        tokio::time::sleep(Duration::from_millis(1_500 + dice.roll(2_500))).await;
        number += 1;
        let record = ordinary(SystemClock.now(), &mut dice, number).build();
        let body = serde_json::json!({"model": record.exchange.model_asked, "messages": [{"role": "user", "content": record.exchange.asked_preview}]});
        world.live.start(&record.exchange, body.to_string());
        let takes =
            Duration::from_micros(record.exchange.duration_us.unwrap_or(0)).min(Duration::from_secs(6));
        tokio::time::sleep(takes).await;
        world.live.end(record.exchange.id);
        world.add(record);
    }
}
