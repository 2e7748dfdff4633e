//! What the machine itself holds up: where nothing of ours runs, too, for a moment.

use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(5);
/// A kill is late for what was held up so long before it.
const BEFORE: Duration = Duration::from_secs(1);

/// When a look began, and how long it took.
type Look = (Instant, Duration);

static LOOKS: LazyLock<Mutex<Vec<Look>>> = LazyLock::new(|| {
    std::thread::spawn(look_on);
    Mutex::default()
});

/// Begins to look; goes on until the process ends.
pub(crate) fn watch() {
    LazyLock::force(&LOOKS);
}

/// The longest that one who waits for a moment and then has little stored was held up before `at`.
pub(crate) fn longest_before(at: Instant) -> Duration {
    let looks = LOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    let near = looks.iter().filter(|(began, took)| *began <= at && *began + *took + BEFORE >= at);
    near.map(|(_, took)| *took).max().unwrap_or_default()
}

/// Does again and again what a log does: waits, writes and has it stored.
#[expect(clippy::disallowed_methods, reason = "how long a wait takes is what it is after")]
fn look_on() {
    let mut file = tempfile::tempfile().unwrap();
    loop {
        let began = Instant::now();
        std::thread::sleep(EVERY);
        file.write_all(&[0; 4096]).unwrap();
        file.sync_data().unwrap();
        let look = (began, began.elapsed().saturating_sub(EVERY));
        LOOKS.lock().unwrap_or_else(PoisonError::into_inner).push(look);
    }
}
