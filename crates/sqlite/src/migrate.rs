//! Bringing a file's schema up to what this program knows.

use std::path::Path;

use refinery::Runner;
use rusqlite::Connection;
use verbatim_core::ports::{PortError, PortResult};

use crate::Doing;

/// Where refinery remembers what it applied.
const HISTORY: &str = "refinery_schema_history";

/// Applies the migrations that a file lacks, all of them in one transaction with the note that they are applied: by
/// itself refinery commits the two apart, and a process that is killed in between leaves a file that can't be opened.
///
/// # Errors
/// [`PortError::Permanent`] where the file's schema is newer than this program's, or a migration fails.
pub fn migrate(connection: &mut Connection, path: &Path, runner: &Runner) -> PortResult<()> {
    let path = path.display();
    let failed = |error: refinery::Error| {
        PortError::permanent(format_args!("could not bring the schema of {path} up to date"), error)
    };
    let known = runner.get_migrations().iter().map(refinery::Migration::version).max();
    let has = match connection.table_exists(None, HISTORY).doing(format_args!("read the schema of {path}"))? {
        true => runner.get_last_applied_migration(connection).map_err(failed)?.map(|last| last.version()),
        false => None,
    };
    if has > known {
        let (has, known) = (has.unwrap_or_default(), known.unwrap_or_default());
        return Err(PortError::Permanent(format!(
            "{path} has schema {has}, which is newer than the {known} that this program knows: run the version of \
             Verbatim that wrote it, or a later one"
        )));
    }
    if has < known {
        let runner = Runner::new(runner.get_migrations()).set_grouped(true);
        runner.run(connection).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use refinery::Migration;

    use super::*;
    use crate::{Options, open};

    fn runner(versions: u32) -> Runner {
        let migrations: Vec<_> = (1..=versions)
            .map(|n| Migration::unapplied(&format!("V{n}__step"), &format!("CREATE TABLE t{n} (x)")).unwrap())
            .collect();
        Runner::new(&migrations)
    }

    #[test]
    fn migrations_apply_together_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let mut connection = open(&path, &Options::default()).unwrap();
        let bad = Migration::unapplied("V2__bad", "CREATE TABLE t1 (x)").unwrap();
        let first = runner(1).get_migrations()[0].clone();
        migrate(&mut connection, &path, &Runner::new(&[first, bad])).unwrap_err();
        assert!(!connection.table_exists(None, "t1").unwrap());
        migrate(&mut connection, &path, &runner(2)).unwrap();
    }

    #[test]
    fn a_file_is_brought_up_to_date_and_a_newer_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let mut connection = open(&path, &Options::default()).unwrap();
        migrate(&mut connection, &path, &runner(1)).unwrap();
        migrate(&mut connection, &path, &runner(3)).unwrap();
        migrate(&mut connection, &path, &runner(3)).unwrap();
        connection.execute_batch("SELECT * FROM t3").unwrap();
        let refused = migrate(&mut connection, &path, &runner(2)).unwrap_err();
        assert!(
            matches!(&refused, PortError::Permanent(why) if why.contains("newer than the 2")),
            "{refused}"
        );
    }
}
