//! The machine that measured, as far as figures depend on it; and what a process used of it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// One line: cores, processor, memory, kernel, and how long a durable write takes on the disk used.
pub(crate) fn describe(directory: &Path) -> Result<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name").and_then(|rest| rest.split_once(':')))
        .map_or("unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism()?;
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or(0) / 1024 / 1024;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let sync = sync_time(directory)?;
    Ok(format!(
        "{cores} cores of {processor}, {memory} GiB, Linux {}, a durable write of 4 KiB takes {:.1} ms",
        kernel.trim(),
        sync.as_secs_f64() * 1000.0
    ))
}

fn sync_time(directory: &Path) -> Result<Duration> {
    let path = directory.join("sync-probe");
    let mut file = fs::File::create(&path)?;
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 4096])?;
            file.sync_data()?;
            Ok(began.elapsed())
        })
        .collect::<Result<_>>()?;
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// A `name: 123 kB` line of a file in /proc; in KiB for memory, bytes for I/O.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The most memory a process held, in MiB.
pub(crate) fn peak_mib(pid: u32) -> Result<f64> {
    let kib = field(&format!("/proc/{pid}/status"), "VmHWM").context("the process's VmHWM")?;
    Ok(kib as f64 / 1024.0)
}

/// Memory that a process holds now, in MiB.
pub(crate) fn resident_mib(pid: u32) -> Result<f64> {
    let kib = field(&format!("/proc/{pid}/status"), "VmRSS").context("the process's VmRSS")?;
    Ok(kib as f64 / 1024.0)
}

/// Processor time that a process has used, user and system.
pub(crate) fn worked(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold anything, and ends with the last parenthesis; then come state, and as 12th and 13th the times.
    let (_, fields) = stat.rsplit_once(')').context("the process's name")?;
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    let ticks: u64 = ticks.iter().sum();
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Bytes a process has had written to disk.
pub(crate) fn written(pid: u32) -> Result<u64> {
    field(&format!("/proc/{pid}/io"), "write_bytes").context("the process's write_bytes")
}

/// Bytes of all files below a directory, by the blocks they take.
pub(crate) fn disk_bytes(directory: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // It went just now.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

/// The day, in UTC.
pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
