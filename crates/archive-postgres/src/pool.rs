//! Connections: kept apart by what they are for, so that slow reading never holds up recording.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use verbatim_core::ports::PortResult;

use crate::config::{PostgresConfig, address};
use crate::error::{Fault, Kind, describe, kind};
use crate::{schema, tls};

/// How long a caller waits for a connection that others have.
const WAIT: Duration = Duration::from_secs(20);
/// The server ends a statement that takes too long; so much later, nobody waits for it to do so.
const GRACE: Duration = Duration::from_secs(5);
/// What may go through at once is tried again so often, so far apart at first.
const TRIES: usize = 4;
const PAUSE: Duration = Duration::from_millis(20);

/// A set of connections that serve one purpose.
pub(crate) struct Connections {
    pool: Pool,
    address: String,
    limit: Duration,
}

/// All of them.
pub(crate) struct Database {
    pub(crate) reads: Connections,
    pub(crate) writes: Connections,
    /// For what may take long: partitions, folding, retention.
    pub(crate) upkeep: Connections,
    pub(crate) address: String,
}

impl Database {
    pub(crate) fn new(config: &PostgresConfig) -> PortResult<Self> {
        let parsed = config.parsed()?;
        let size = config.pool_size.max(1);
        let make = |purpose: &str, size, limit: Option<Duration>, settings: &str| {
            connections(config, &parsed, purpose, size, limit, settings)
        };
        // A plan made for any id would open every partition; one made for this one opens its own.
        let custom = " -c plan_cache_mode=force_custom_plan";
        // Lists walk an index until their page is full. By the statistics of a partition that grows, which are always
        // behind, gathering and sorting all that matches may look cheaper than it is.
        // Where a list has found that it is cheaper, it allows it for one statement.
        let ordered = format!("{custom} -c enable_seqscan=off -c enable_bitmapscan=off");
        // Nor does a writer read a partition from end to end to find a batch's ids, however small it was when it was
        // looked at last.
        let by_key = " -c synchronous_commit=on -c enable_seqscan=off";
        Ok(Self {
            reads: make("reads", size, Some(config.read_timeout), &ordered)?,
            writes: make("writes", size, Some(config.write_timeout), by_key)?,
            upkeep: make("upkeep", 2, None, custom)?,
            address: address(&parsed),
        })
    }

    /// Closes all of them; whatever comes later fails.
    pub(crate) fn close(&self) {
        for connections in [&self.reads, &self.writes, &self.upkeep] {
            connections.pool.close();
        }
    }
}

fn connections(
    config: &PostgresConfig,
    parsed: &tokio_postgres::Config,
    purpose: &str,
    size: usize,
    limit: Option<Duration>,
    settings: &str,
) -> PortResult<Connections> {
    let mut parsed = parsed.clone();
    // The server notices within a minute that a client's machine is gone, and lets go of what it had claimed.
    let mut options = format!(
        "{} -c timezone=UTC -c jit=off -c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 \
         -c tcp_keepalives_count=3 -c idle_in_transaction_session_timeout=120000{settings}",
        parsed.get_options().unwrap_or_default()
    );
    options.push_str(&format!(" -c statement_timeout={}", limit.unwrap_or_default().as_millis()));
    parsed.options(options.trim_start());
    parsed.application_name(format!("verbatim {purpose}"));
    parsed.connect_timeout(config.connect_timeout);
    parsed.keepalives_idle(Duration::from_secs(20));
    let with_tls = config.tls.is_wanted(parsed.get_ssl_mode());
    parsed.ssl_mode(if with_tls { SslMode::Require } else { SslMode::Disable });
    let address = address(&parsed);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = if with_tls {
        Manager::from_config(parsed, tls::connector(&config.tls)?, recycling)
    } else {
        Manager::from_config(parsed, NoTls, recycling)
    };
    let wait = Some(WAIT);
    let create = Some(config.connect_timeout.saturating_add(GRACE));
    let pool = Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts { wait, create, recycle: wait })
        .build()
        .map_err(|error| verbatim_core::ports::PortError::permanent("connections can't be pooled", error))?;
    let limit = limit.map_or(Duration::MAX, |limit| limit.saturating_add(GRACE));
    Ok(Connections { pool, address, limit })
}

impl Connections {
    /// A connection of one's own until it is dropped.
    pub(crate) async fn get(&self) -> Result<Object, Fault> {
        self.pool.get().await.map_err(|error| self.unreachable(error))
    }

    /// Does some work on a connection; what may go through at once is tried again, on another connection if need be.
    pub(crate) async fn run<T, W>(&self, work: impl Fn(Object) -> W) -> Result<T, Fault>
    where
        W: Future<Output = Result<T, Fault>>,
    {
        let attempt = || self.once(&work);
        // Spread at random: committers that met must not meet again.
        let waits = ExponentialBuilder::default().with_min_delay(PAUSE).with_max_times(TRIES).with_jitter();
        attempt
            .retry(waits)
            .when(Fault::is_worth_another_try)
            .notify(|fault, _| {
                tracing::debug!(%fault, "trying again");
                metrics::counter!("verbatim_archive_retries_total").increment(1);
            })
            .await
    }

    /// The same, once.
    pub(crate) async fn once<T, W>(&self, work: impl FnOnce(Object) -> W) -> Result<T, Fault>
    where
        W: Future<Output = Result<T, Fault>>,
    {
        let client = self.get().await?;
        let result = match tokio::time::timeout(self.limit, work(client)).await {
            Ok(result) => result,
            Err(_) => {
                let why = format!("PostgreSQL at {} does not answer within {:?}", self.address, self.limit);
                Err(Fault { kind: Kind::Transient, why })
            }
        };
        // One that hangs or is gone is seldom the only one, and what is mended may hold for new ones only: whoever comes
        // next gets a new one.
        let is_spent = |fault: &Fault| matches!(fault.kind, Kind::Gone | Kind::Transient | Kind::Mendable);
        if result.as_ref().is_err_and(is_spent) {
            self.pool.retain(|_, _| false);
        }
        match result {
            Err(fault) if matches!(fault.kind, Kind::Mendable | Kind::Stale) => {
                Err(self.because_of_schema(fault).await)
            }
            result => result,
        }
    }

    /// What fails for a schema that is another one now, as after a restore, says so.
    async fn because_of_schema(&self, fault: Fault) -> Fault {
        let look = async { schema::check(&self.get().await?, &self.address).await };
        match tokio::time::timeout(GRACE, look).await {
            Ok(Err(other)) if other.kind == Kind::Permanent => Fault::mendable(format!("{fault}; {other}")),
            _ => fault,
        }
    }

    /// What to say, and to do, where there is no connection.
    fn unreachable(&self, error: PoolError) -> Fault {
        let address = &self.address;
        let error = match error {
            PoolError::Backend(error) => error,
            PoolError::Closed => return Fault::permanent(format!("the archive at {address} is closed")),
            other => return Fault::transient(format!("no connection to PostgreSQL at {address}: {other}")),
        };
        let why = describe(&error);
        let state = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
        match state.as_str() {
            "28P01" | "28000" => Fault::mendable(format!(
                "PostgreSQL at {address} refuses our credentials: {why}; check user and password in [postgres] url, \
                 and pg_hba.conf on the server"
            )),
            "3D000" => Fault::mendable(format!(
                "PostgreSQL at {address} has no such database: {why}; create it (`createdb`), or correct it in \
                 [postgres] url"
            )),
            _ if is_of_tls(&error) => Fault::mendable(format!(
                "no TLS connection to PostgreSQL at {address}: {why}; check the server's certificate, its name and \
                 [postgres] ca_file, or whether the server has TLS at all"
            )),
            _ if error.as_db_error().is_some()
                && matches!(kind(&error), Kind::Permanent | Kind::Row | Kind::Mendable) =>
            {
                Fault::mendable(format!("PostgreSQL at {address} does not let us in: {why}"))
            }
            _ => Fault::transient(format!("PostgreSQL at {address} can't be reached: {why}")),
        }
    }
}

/// Whether the two sides could not agree on encryption; a connection that broke off meanwhile is another thing.
fn is_of_tls(error: &tokio_postgres::Error) -> bool {
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(io) = found.downcast_ref::<io::Error>() {
            return matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput);
        }
        cause = found.source();
    }
    error.to_string().contains("TLS")
}
