use std::collections::BTreeSet;
use std::sync::Mutex;

use async_trait::async_trait;
use verbatim_core::model::Timestamp;
use verbatim_core::ports::{Control, Logout, PortResult};

use super::Switch;

/// A control store that forgets everything at its end.
#[derive(Default)]
pub struct MemoryControl {
    logged_out: Mutex<BTreeSet<i64>>,
    pub down: Switch,
    /// It still answers, but takes nothing.
    pub full: Switch,
}

#[async_trait]
impl Control for MemoryControl {
    async fn log_out(&self, logout: Logout, _now: Timestamp) -> PortResult<()> {
        self.down.check()?;
        self.full.check()?;
        self.logged_out.lock().unwrap().insert(logout.number);
        Ok(())
    }

    async fn is_logged_out(&self, number: i64) -> PortResult<bool> {
        self.down.check()?;
        Ok(self.logged_out.lock().unwrap().contains(&number))
    }
}
