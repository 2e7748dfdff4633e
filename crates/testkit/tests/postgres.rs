//! The server that tests get is one they can trust, and one that goes.

use verbatim_testkit::postgres::{PostgresOptions, PostgresServer};

#[test]
fn a_killed_server_comes_back_with_what_it_committed_and_leaves_nothing_behind() {
    let server = PostgresServer::start(&PostgresOptions::default());
    let database = server.create_database();
    server.sql(&database, "CREATE TABLE kept AS SELECT 7 AS seven");
    for _ in 0..2 {
        server.kill();
        server.restart();
        assert_eq!(server.sql(&database, "SELECT seven FROM kept"), "7");
    }
    server.pause();
    server.resume();
    server.stop();
    server.restart();
    assert_eq!(server.sql(&database, "SELECT seven FROM kept"), "7");
    let data = std::path::PathBuf::from(server.sql(&database, "SHOW data_directory"));
    assert!(data.exists());
    drop(server);
    assert!(!data.exists());
}
