//! The contract of [`Control`], as tests that every adapter passes.
//!
//! An adapter's tests instantiate the suite: `control_contract!(make_world);` makes one test of each promise.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use verbatim_core::model::Timestamp;
use verbatim_core::ports::{Control, Logout};

/// One control store's world, across restarts. Each test has one of its own.
#[async_trait]
pub trait ControlWorld: Send + Sync {
    /// Opens the store, with what was left of it: beside one that is open, where several processes may have it.
    async fn open(&self) -> Arc<dyn Control>;

    /// Closes all that is open, in order.
    async fn close(&self);

    /// Whether several processes may have it open at once.
    fn is_shared(&self) -> bool;
}

/// Makes a world.
pub type MakeControlWorld = fn() -> Box<dyn ControlWorld>;

/// Makes a `#[tokio::test]` of each promise of the control store. The argument is a
/// [`MakeControlWorld`](crate::control::MakeControlWorld).
#[macro_export]
macro_rules! control_contract {
    ($world:expr) => {
        $crate::control_contract!($world;
            a_logout_ends_one_login_and_outlives_the_process,
            a_logout_is_known_in_every_process_when_it_returns,
            a_logout_is_forgotten_once_its_login_would_have_ended,
        );
    };
    ($world:expr; $($promise:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::control::$promise($world).await;
            }
        )+
    };
}

const NOW: Timestamp = Timestamp::from_unix_ms(1_795_300_000_000);

/// A logout that is to be remembered for so long.
fn logout(number: i64, remembered: Duration) -> Logout {
    Logout { number, until: NOW.plus(remembered) }
}

/// A login that was ended stays so over a restart, and its neighbours are not touched.
pub async fn a_logout_ends_one_login_and_outlives_the_process(make: MakeControlWorld) {
    let world = make();
    let control = world.open().await;
    let mine = logout(1_795_300_000_000_001, Duration::from_secs(9));
    control.log_out(mine, NOW).await.unwrap();
    control.log_out(mine, NOW).await.unwrap();
    assert!(control.is_logged_out(mine.number).await.unwrap());
    assert!(!control.is_logged_out(mine.number + 1).await.unwrap());
    drop(control);
    world.close().await;
    let again = world.open().await;
    assert!(again.is_logged_out(mine.number).await.unwrap());
    assert!(!again.is_logged_out(mine.number + 1).await.unwrap());
    world.close().await;
}

/// When ending a login has returned, whoever has the store open knows.
pub async fn a_logout_is_known_in_every_process_when_it_returns(make: MakeControlWorld) {
    let world = make();
    let here = world.open().await;
    let there = if world.is_shared() { world.open().await } else { Arc::clone(&here) };
    for number in 1..20 {
        assert!(!there.is_logged_out(number).await.unwrap());
        here.log_out(logout(number, Duration::from_secs(9)), NOW).await.unwrap();
        assert!(there.is_logged_out(number).await.unwrap());
    }
    drop((here, there));
    world.close().await;
}

/// What a login's own end makes needless does not pile up.
pub async fn a_logout_is_forgotten_once_its_login_would_have_ended(make: MakeControlWorld) {
    let world = make();
    let control = world.open().await;
    control.log_out(logout(1, Duration::from_secs(5)), NOW).await.unwrap();
    control.log_out(logout(2, Duration::from_secs(9)), NOW).await.unwrap();
    control.log_out(logout(3, Duration::from_secs(9)), NOW.plus(Duration::from_secs(5))).await.unwrap();
    assert!(!control.is_logged_out(1).await.unwrap());
    assert!(control.is_logged_out(2).await.unwrap() && control.is_logged_out(3).await.unwrap());
    drop(control);
    world.close().await;
}
