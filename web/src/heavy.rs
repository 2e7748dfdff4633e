//! Work that would keep the threads that serve everybody busy.

use crate::error::ApiError;
use crate::stores::Stores;

/// Does what may take long, such as making a page of a conversation of megabytes, on a thread for such things and a few
/// at a time.
///
/// # Errors
/// If it panicked.
pub(crate) async fn heavy<T: Send + 'static>(
    stores: &Stores,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let permit = stores.readings.acquire().await;
    let done = tokio::task::spawn_blocking(work).await;
    drop(permit);
    done.map_err(|error| ApiError::Internal(format!("the answer to this could not be made: {error}")))
}
