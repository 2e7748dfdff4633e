//! What an import refuses, and how it says so.

use verbatim_testkit::postgres::PostgresServer;

use crate::support::{Process, complaint, output, place};
use crate::worlds::{Server, Worlds, all_kinds};

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_not_ours_is_refused_with_what_to_do() {
    let worlds = Worlds::unmigrated(Server::Shared(PostgresServer::shared()));
    worlds.fill(&all_kinds()[..2]).await;
    let output = worlds.run().await;
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("run `verbatim migrate` first"), "{}", complaint(&output));
}

#[test]
fn without_postgresql_there_is_nowhere_to_import_to() {
    let place = place();
    let output = output(place.path(), &["import", "--from-data-dir", "old"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(complaint(&output).contains("postgres.url"), "{}", complaint(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_without_an_archive_or_with_an_instance_is_refused() {
    let worlds = Worlds::new().await;
    let output = worlds.run().await;
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("has no archive to import"), "{}", complaint(&output));
    let directory = worlds.data_dir();
    let running = Process::start_command(
        crate::support::verbatim(directory.parent().unwrap(), &["up", "--data-dir", "old"]),
        &directory,
    );
    let output = worlds.run().await;
    assert_eq!(output.status.code(), Some(1));
    let said = complaint(&output);
    assert!(said.contains("in use by another process") && said.contains("verbatim backup"), "{said}");
    assert!(running.stop().success());
    worlds.import().await;
}
