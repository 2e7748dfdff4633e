//! What becomes of files that are missing, damaged, too new, or left over.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use verbatim_core::model::Timestamp;
use verbatim_core::model::query::parse;
use verbatim_core::ports::{PortError, SearchIndex, SearchRequest};
use verbatim_search_sqlite::SqliteSearch;
use verbatim_testkit::ExchangeBuilder;

fn file(directory: &Path) -> PathBuf {
    directory.join("search.db")
}

async fn write(index: &SqliteSearch, text: &str) {
    index.write(vec![ExchangeBuilder::minted().document(text, "")]).await.expect("it works");
}

async fn count(index: &SqliteSearch, text: &str) -> usize {
    let query = parse(text, Timestamp::default()).expect("a query");
    let request = SearchRequest { query, before: None, skip: 0, limit: 1000 };
    index.search(request).await.expect("it works").hits.len()
}

async fn rebuild(index: &SqliteSearch, text: &str) {
    index.begin_rebuild().await.expect("it works");
    write(index, text).await;
    index.finish_rebuild().await.expect("it works");
}

#[tokio::test]
async fn a_new_index_needs_a_rebuild_until_one_is_finished() {
    let directory = tempfile::tempdir().unwrap();
    let index = SqliteSearch::open(file(directory.path())).unwrap();
    assert!(index.needs_rebuild().await);
    write(&index, "word").await;
    index.begin_rebuild().await.unwrap();
    write(&index, "word").await;
    index.close().await;
    let index = SqliteSearch::open(file(directory.path())).unwrap();
    assert!(index.needs_rebuild().await, "the rebuild was not finished");
    assert_eq!(count(&index, "word").await, 2, "it answers with what it has");
    rebuild(&index, "word").await;
    assert!(!index.needs_rebuild().await);
    assert_eq!(count(&index, "word").await, 3, "it was filled in place");
    index.close().await;
    assert!(!SqliteSearch::open(file(directory.path())).unwrap().needs_rebuild().await);
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_made_anew() {
    let whole = tempfile::tempdir().unwrap();
    let index = SqliteSearch::open(file(whole.path())).unwrap();
    rebuild(&index, "word").await;
    for n in 0..200 {
        write(&index, &format!("word number{n}")).await;
    }
    index.close().await;
    let bytes = std::fs::read(whole.path().join("search.db")).unwrap();
    let mut garbled = bytes.clone();
    garbled[100..4096].fill(0xa5);
    let damages: [(&str, &[u8]); 4] = [
        ("garbage", b"this is no database, though it is longer than a header of one: a hundred bytes and some more of it...."),
        ("cut", &bytes[..bytes.len() / 2]),
        ("garbled", &garbled),
        ("zeroes", &[0; 8192]),
    ];
    for (damage, bytes) in damages {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path());
        std::fs::write(&file, bytes).unwrap();
        let index = SqliteSearch::open(file).unwrap_or_else(|error| panic!("{damage}: {error}"));
        assert!(index.needs_rebuild().await, "{damage}");
        assert_eq!(count(&index, "word").await, 0, "{damage}");
        rebuild(&index, "word").await;
        assert_eq!(count(&index, "word").await, 1, "{damage}");
        assert!(directory.path().join("search.db.damaged").exists(), "{damage}");
        index.close().await;
    }
}

#[tokio::test]
async fn damage_that_shows_later_is_told_and_mended_by_a_rebuild() {
    let directory = tempfile::tempdir().unwrap();
    let index = SqliteSearch::open(file(directory.path())).unwrap();
    rebuild(&index, "word").await;
    index.close().await;
    let connection = Connection::open(directory.path().join("search.db")).unwrap();
    connection.execute("UPDATE words_data SET block = x'ffffffff' WHERE id > 10", []).unwrap();
    drop(connection);
    let index = SqliteSearch::open(file(directory.path())).unwrap();
    if !index.needs_rebuild().await {
        let query = parse("word", Timestamp::default()).unwrap();
        let request = SearchRequest { query, before: None, skip: 0, limit: 10 };
        let error = index.search(request).await.expect_err("its postings are garbage");
        assert!(error.is_transient() && error.to_string().contains("reindex"), "{error}");
    }
    assert!(index.needs_rebuild().await);
    rebuild(&index, "word").await;
    assert!(!index.needs_rebuild().await);
    assert_eq!(count(&index, "word").await, 1);
    index.close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("search.db");
    SqliteSearch::open(file(directory.path())).unwrap().close().await;
    let connection = Connection::open(&path).unwrap();
    let sql = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
               VALUES (9999, 'later', '2099-01-01T00:00:00Z', '1')";
    connection.execute(sql, []).unwrap();
    drop(connection);
    let refused = SqliteSearch::open(file(directory.path())).map(|_| ()).unwrap_err();
    assert!(matches!(&refused, PortError::Permanent(why) if why.contains("newer")), "{refused}");
    assert!(path.exists());
    assert!(!directory.path().join("search.db.damaged").exists());
}

#[tokio::test]
async fn what_an_unfinished_rebuild_left_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let index = SqliteSearch::open(file(directory.path())).unwrap();
    rebuild(&index, "word").await;
    index.begin_rebuild().await.unwrap();
    write(&index, "word").await;
    let next = directory.path().join("search-next.db");
    assert!(next.exists());
    index.close().await;
    let index = SqliteSearch::open(file(directory.path())).unwrap();
    assert!(!next.exists());
    assert!(!index.needs_rebuild().await, "the file that answered has everything");
    assert_eq!(count(&index, "word").await, 2);
    index.close().await;
}

#[tokio::test]
async fn searches_go_on_while_a_rebuild_ends() {
    let directory = tempfile::tempdir().unwrap();
    let index = SqliteSearch::open(file(directory.path())).unwrap();
    rebuild(&index, "word").await;
    for _ in 0..5 {
        index.begin_rebuild().await.unwrap();
        write(&index, "word").await;
        let searches = async {
            for _ in 0..50 {
                assert!(count(&index, "word").await >= 1);
            }
        };
        let finish = async { index.finish_rebuild().await.unwrap() };
        tokio::join!(searches, finish);
        assert_eq!(count(&index, "word").await, 1);
    }
    index.close().await;
    let left: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["search.db"], "nothing is left beside the file");
}
