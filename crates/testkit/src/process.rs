//! What the system tells of a process.

use std::fs;

/// The most memory that a process has had so far, in bytes.
///
/// # Panics
/// Where the system does not tell (Linux does, in `/proc`), or no such process runs.
pub fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the system tells of the process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("the system tells a process's memory in kB") * 1024
}
