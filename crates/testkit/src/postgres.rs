//! A real PostgreSQL server for tests: Debian's binaries, its own directory, a free port, gone when the test is.
//!
//! Running `initdb` for each would take longer than most tests: its result is kept in the system's temporary directory,
//! one for each version and user, and copied.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{fs, io};

use tempfile::TempDir;

/// The superuser, and the password that it needs over TCP.
pub const USER: &str = "postgres";
/// See [`USER`].
pub const PASSWORD: &str = "s3cret-of-the-tests";

/// How often another port is tried where somebody else took the free one first.
const PORTS: usize = 5;

/// What is special about a server.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Lines for `postgresql.conf`.
    pub settings: Vec<String>,
    /// Lines for `pg_hba.conf`, before those that let [`USER`] in with [`PASSWORD`].
    pub access: Vec<String>,
    /// Files for the data directory, such as certificates.
    pub files: Vec<(String, String)>,
    /// Whether commits wait for the disk. A killed server loses nothing without; only a measurement needs it.
    pub durable: bool,
}

/// A running server, and the process that owns it.
pub struct PostgresServer {
    port: u16,
    bin: PathBuf,
    wire: Mutex<Wire>,
    databases: AtomicU32,
}

struct Wire {
    supervisor: Child,
    /// `None` once the supervisor was told that nobody needs it.
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl PostgresServer {
    /// Starts a server. Blocks its thread for about a second.
    ///
    /// # Panics
    /// Where there is no PostgreSQL, or it does not start: its log says why.
    pub fn start(options: &PostgresOptions) -> Self {
        let bin = newest_bin();
        let mut failure = String::new();
        for _ in 0..PORTS {
            let directory = prepare(&bin, options).expect("a directory for a server is prepared");
            let port = free_port();
            let mut wire = supervise(&bin, directory, port);
            failure = wire.tell("start");
            if failure == "ready" {
                return Self { port, bin, wire: Mutex::new(wire), databases: AtomicU32::new(0) };
            }
            wire.leave();
        }
        panic!("PostgreSQL does not start: {failure}");
    }

    /// One server for all tests of a process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&PostgresOptions::default()))
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// A new database; gives its name.
    pub fn create_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs SQL as superuser; gives its rows, one a line, columns separated by `|`.
    ///
    /// # Panics
    /// Where it fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.env("PGPASSWORD", PASSWORD).arg("-XqAt").args(["-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
        psql.args(["-p", &self.port.to_string(), "-U", USER, "-d", database, "-c", sql]);
        let done = psql.output().expect("psql is there where PostgreSQL is");
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// Ends every session in a database, as if its client's machine had died; returns once they are gone.
    pub fn end_sessions(&self, database: &str) {
        let sql = format!(
            "SELECT count(pg_terminate_backend(pid, 30000)) FROM pg_stat_activity WHERE datname = '{database}'"
        );
        self.sql("postgres", &sql);
    }

    /// Kills it and all its processes with SIGKILL.
    pub fn kill(&self) {
        self.tell("kill", "killed");
    }

    /// Shuts it down in order, ending its sessions.
    pub fn stop(&self) {
        self.tell("stop", "stopped");
    }

    /// Starts it again, on the same port and data.
    pub fn restart(&self) {
        self.tell("start", "ready");
    }

    /// Stops all its processes where they are, as if the machine hung.
    pub fn pause(&self) {
        self.tell("pause", "paused");
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.tell("resume", "resumed");
    }

    fn tell(&self, word: &str, expected: &str) {
        let answer = self.wire.lock().unwrap_or_else(PoisonError::into_inner).tell(word);
        assert_eq!(answer, expected, "the server on port {}", self.port);
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.wire.get_mut().unwrap_or_else(PoisonError::into_inner).leave();
    }
}

impl Wire {
    fn tell(&mut self, word: &str) -> String {
        let words = self.words.as_mut().expect("it is told nothing after it was left");
        writeln!(words, "{word}").expect("the supervisor listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the supervisor answers");
        answer.trim_end().to_owned()
    }

    /// Ends the server, and waits until its files are gone.
    fn leave(&mut self) {
        self.words = None;
        // What is left to do where even that fails is the system's.
        let _ = self.supervisor.wait();
    }
}

fn supervise(bin: &Path, directory: TempDir, port: u16) -> Wire {
    let mut supervisor = Command::new("sh")
        .args(["-c", include_str!("postgres/supervise.sh")])
        .env("BIN", bin)
        .env("DIR", directory.keep())
        .env("PORT", port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let words = supervisor.stdin.take();
    let answers = BufReader::new(supervisor.stdout.take().expect("its output is a pipe"));
    Wire { supervisor, words, answers }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// The newest version that Debian's packages installed.
fn newest_bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).filter(|path| path.join("bin/postgres").exists());
    let newest = newest.max_by_key(|path| version(path));
    newest.expect("tests need PostgreSQL: `apt-get install postgresql`, as ./test does").join("bin")
}

/// A directory with a data directory in it, owned by who will run the server.
fn prepare(bin: &Path, options: &PostgresOptions) -> io::Result<TempDir> {
    let template = template(bin)?;
    let directory = tempfile::Builder::new().prefix("verbatim-postgres-").tempdir()?;
    let data = directory.path().join("data");
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(&template).arg(&data))?;
    let mut settings = String::from(
        "listen_addresses = '127.0.0.1'\nfull_page_writes = on\nmax_connections = 200\nshared_buffers = 64MB\n",
    );
    if !options.durable {
        settings.push_str("fsync = off\n");
    }
    for line in &options.settings {
        settings.push_str(line);
        settings.push('\n');
    }
    let mut conf = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf"))?;
    conf.write_all(settings.as_bytes())?;
    let mut access = options.access.join("\n");
    access.push_str("\nlocal all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
    fs::write(data.join("pg_hba.conf"), access)?;
    for (name, text) in &options.files {
        fs::write(data.join(name), text)?;
        run(Command::new("chmod").arg("600").arg(data.join(name)))?;
    }
    if is_root() {
        run(Command::new("chown").args(["-R", USER]).arg(directory.path()))?;
    }
    Ok(directory)
}

/// What `initdb` made, once for all tests on this machine.
fn template(bin: &Path) -> io::Result<PathBuf> {
    let version = bin.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let owner = if is_root() { "root" } else { "user" };
    let name = format!("verbatim-initdb-{}-{owner}", version.unwrap_or_default());
    let template = std::env::temp_dir().join(name);
    if template.exists() {
        return Ok(template);
    }
    let making = tempfile::Builder::new().prefix("verbatim-initdb-").tempdir()?;
    let (data, password) = (making.path().join("data"), making.path().join("password"));
    fs::write(&password, PASSWORD)?;
    if is_root() {
        run(Command::new("chown").args(["-R", USER]).arg(making.path()))?;
    }
    let initdb = bin.join("initdb");
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(initdb);
        command
    } else {
        Command::new(initdb)
    };
    command.args([
        "--no-sync",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--auth-host=scram-sha-256",
        "-U",
        USER,
    ]);
    run(command.arg("--pwfile").arg(&password).arg("-D").arg(&data))?;
    // Somebody else's is as good where two make it at once.
    match fs::rename(&data, &template) {
        Err(error) if !template.exists() => Err(error),
        _ => Ok(template),
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
}

fn run(command: &mut Command) -> io::Result<()> {
    let done = command.stdin(Stdio::null()).output()?;
    if done.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(io::Error::other(format!("{command:?}: {why}")))
}
