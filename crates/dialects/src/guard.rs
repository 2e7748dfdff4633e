//! What happens when reading fails in spite of everything.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Reading panicked: a fault of this crate, which the panic's own message in the log shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it could not be read: reading its bytes failed; the log of that time has more")]
pub struct Stumbled;

/// Does what takes one exchange's bytes apart. Bodies are anybody's bytes: those that a dialect stumbles over must not
/// keep others from being recorded, found or shown, so whoever reads for more than one caller reads through this.
///
/// # Errors
/// If the work panicked.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Stumbled> {
    // Whatever the work had half done is dropped with it.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Stumbled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_anything_else_is_given_through() {
        assert_eq!(guarded(|| 7), Ok(7));
        assert_eq!(guarded(|| -> u8 { panic!("a fault in a dialect") }), Err(Stumbled));
    }
}
