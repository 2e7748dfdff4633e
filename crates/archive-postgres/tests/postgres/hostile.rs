//! Whatever an application sends is archived.

use verbatim_core::model::query::{Condition, Field, Filter, Pattern};
use verbatim_core::model::{ExchangeId, Headers, Leg, Timestamp};
use verbatim_core::ports::{Archive, Clock, Committed, ListRequest, SystemClock};
use verbatim_testkit::ExchangeBuilder;
use verbatim_testkit::postgres::PostgresServer;

use super::{DAY, connect, database, store, try_commit};

fn equal(field: Field, text: &str) -> ListRequest {
    let condition = Condition::Matches(vec![Pattern { runs: vec![text.to_owned()] }]);
    ListRequest {
        filters: vec![Filter { field, condition, excluded: false }],
        limit: 10,
        ..ListRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nul_and_invalid_utf8_in_headers_model_path_and_body_are_archived_and_found() {
    let (_, config) = database(PostgresServer::shared()).await;
    let archive = connect(&config).await;
    let bytes = [0, 0xff, 0xfe, b'a', 0xc3, 0x28, 0];
    let mut headers = Headers::default();
    headers.push("x-odd", bytes.to_vec());
    let record = ExchangeBuilder::minted()
        .with(|exchange| {
            exchange.model_asked = Some("mo\0del".to_owned());
            exchange.path = "/v1/\0chat".to_owned();
            exchange.session = Some("s\0".to_owned());
            exchange.error = Some("\0".to_owned());
            exchange.tags = vec!["t\0ag".to_owned()];
        })
        .with_heads(|heads| heads.request.headers = headers.clone())
        .request(bytes.to_vec())
        .build();
    store(&archive, std::slice::from_ref(&record)).await;
    let id = record.exchange.id;
    assert_eq!(archive.get(id).await.unwrap().unwrap().1.request.headers, headers);
    assert_eq!(archive.body(id, Leg::ClientRequest).await.unwrap().unwrap().bytes, bytes.to_vec());
    let fields =
        [(Field::Model, "mo\0del"), (Field::Path, "\0chat"), (Field::Session, "s\0"), (Field::Tag, "t\0ag")];
    for (field, text) in fields {
        let page = archive.list(equal(field, text)).await.unwrap();
        assert_eq!(page.exchanges.len(), 1, "{field:?}");
    }
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_longer_than_an_index_takes_are_archived_told_apart_and_summed() {
    let (_, config) = database(PostgresServer::shared()).await;
    let archive = connect(&config).await;
    let long = |end: &str| format!("{}{end}", "\u{10ffff}木".repeat(20_000));
    let record = |end: &str| {
        ExchangeBuilder::minted()
            .with(|exchange| {
                exchange.session = Some(long(end));
                exchange.model_asked = Some(long(end));
                exchange.model_served = None;
                exchange.provider = long(end);
                exchange.caller.app = Some(long(end));
                exchange.caller.key = Some(long(end));
                exchange.path = long(end);
                exchange.tags = vec![long(end)];
            })
            .build()
    };
    let records = [record("1"), record("2")];
    store(&archive, &records).await;
    for field in [Field::Session, Field::Model, Field::App, Field::Key] {
        let page = archive.list(equal(field, &long("2"))).await.unwrap();
        assert_eq!(page.exchanges, [records[1].exchange.clone()], "{field:?}");
    }
    archive.maintain().await.unwrap();
    let now = SystemClock.now();
    let models = archive.model_stats(now.minus(DAY)..now.plus(DAY)).await.unwrap();
    assert_eq!(models.iter().map(|model| model.totals.calls).sum::<u64>(), 2);
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_far_in_the_past_and_the_future_go_to_exchange_stray_and_make_no_partition() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let archive = connect(&config).await;
    let partitions = || server.sql(&name, "SELECT count(*) FROM exchange_day");
    let before = partitions();
    let now = SystemClock.now();
    for time in [
        now.plus(DAY * 3),
        now.minus(DAY * 366 * 20),
        Timestamp::from_unix_ms(0),
        Timestamp::from_unix_ms((1 << 48) - 1),
    ] {
        let record = ExchangeBuilder::new(ExchangeId::lowest_at(time)).request("x").build();
        store(&archive, std::slice::from_ref(&record)).await;
        assert_eq!(archive.get(record.exchange.id).await.unwrap().unwrap().0, record.exchange);
    }
    assert_eq!(server.sql(&name, "SELECT count(*) FROM exchange_stray"), "4");
    assert_eq!((server.sql(&name, "SELECT count(*) FROM exchange").as_str(), partitions()), ("0", before));
    archive.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_database_refuses_is_refused_alone() {
    let server = PostgresServer::shared();
    let (name, config) = database(server).await;
    let archive = connect(&config).await;
    archive.keep_outbox().await.unwrap();
    let poison = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF new.session = 'poison' THEN RAISE EXCEPTION 'poisoned'; END IF; RETURN new; END $$;
                  CREATE TRIGGER poison BEFORE INSERT ON exchange FOR EACH ROW EXECUTE FUNCTION poison()";
    server.sql(&name, poison);
    let record = |n: usize| {
        let session = if n % 4 == 1 { "poison" } else { "fine" };
        let session = Some(session.to_owned());
        ExchangeBuilder::minted().with(|exchange| exchange.session = session).request("x").build()
    };
    let records: Vec<_> = (0..9).map(record).collect();
    for (n, committed) in try_commit(&archive, &records).await.unwrap().iter().enumerate() {
        match committed {
            Committed::Refused(why) => assert!(n % 4 == 1 && why.contains("poisoned"), "{n}: {why}"),
            Committed::Stored => assert!(n % 4 != 1),
            Committed::Superseded => panic!("{n} is new"),
        }
    }
    let health = archive.health().await.unwrap();
    assert_eq!((health.exchanges, health.outbox, health.captured_bytes), (7, 7, 7));
    archive.close().await;
}
