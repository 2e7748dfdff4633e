//! A process without file descriptors: alone in its binary, since the limit is the process's.

use std::fs::File;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use verbatim_sqlite::{Doing, Options, Readers, open};

#[test]
fn without_descriptors_files_that_could_be_opened_may_be_so_later() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (directory.path().join("old.db"), directory.path().join("new.db"));
    open(&old, &Options::default()).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let readers = Readers::new(&old, &Options::default(), 1);
    let read =
        || readers.run_blocking(|connection| connection.execute_batch("SELECT x FROM t").doing("read"));

    let usual = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..usual }).unwrap();
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let failed = [read().unwrap_err(), open(&new, &Options::default()).map(drop).unwrap_err()];
    drop(taken);
    setrlimit(Resource::Nofile, usual).unwrap();

    assert!(failed.iter().all(verbatim_core::ports::PortError::is_transient), "{failed:?}");
    read().unwrap();
    open(&new, &Options::default()).unwrap();
}
