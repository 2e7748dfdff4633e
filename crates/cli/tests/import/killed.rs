//! An import whose process is killed in the middle.

use std::process::Stdio;

use verbatim_core::ports::{Archive, Clock, SystemClock};
use verbatim_testkit::peak_memory;
use verbatim_testkit::postgres::{PostgresOptions, PostgresServer};

use crate::worlds::{Worlds, all_kinds, begun_at, noise};

/// So many bodies, and bytes of each.
const LARGE: u32 = 60;
const SIZE: usize = 5 << 20;
/// What an import may take in memory: not what it moves, which is 300 MiB.
const MEMORY_MIB: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_goes_on_where_it_was() {
    let worlds = Worlds::with_server(PostgresServer::start(&PostgresOptions::default())).await;
    let mut records = all_kinds();
    let now = SystemClock.now();
    // Last, for ids are walked in their order.
    records.extend((0..LARGE).map(|n| begun_at(now, 1_000 + n).request(noise(n.into(), SIZE)).build()));
    worlds.fill(&records).await;
    let total = records.len() as u64;
    let count = "SELECT (SELECT count(*) FROM exchange) + (SELECT count(*) FROM exchange_stray)";
    let database = worlds.database.clone();
    let mut killed = 0;
    for share in [3, 2] {
        let mut importing = worlds.command().stdout(Stdio::null()).spawn().unwrap();
        let there = || worlds.server.sql(&database, count).parse::<u64>().unwrap();
        let wanted = total - u64::from(LARGE) + u64::from(LARGE / share / 2);
        while there() < wanted {
            assert!(importing.try_wait().unwrap().is_none(), "it ended before it was killed");
        }
        // With the database where it is, the import can only wait, and is killed in the middle of something.
        worlds.server.pause();
        let peak = peak_memory(importing.id()).unwrap() >> 20;
        importing.kill().unwrap();
        importing.wait().unwrap();
        worlds.server.resume();
        assert!(peak < MEMORY_MIB, "{peak} MiB");
        if there() < total {
            killed += 1;
        }
    }
    assert!(killed > 0, "at least one was killed before everything was there");
    worlds.import().await;
    worlds.assert_same().await;
    let (from, to) = (worlds.from(), worlds.to().await);
    let (here, there) = (from.health().await.unwrap(), to.health().await.unwrap());
    assert_eq!((there.exchanges, there.captured_bytes), (here.exchanges, here.captured_bytes));
    from.close().await;
    to.close().await;
}
