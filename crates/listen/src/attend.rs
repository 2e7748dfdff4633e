//! Watches over one connection.

use std::pin::pin;
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{Limits, Line};

/// A connection that was told to close and has no call has so long to do so.
const CLOSING: Duration = Duration::from_secs(2);

/// Serves a connection until it ends; `None`: it was ended. With the soft stop no further calls begin on it, and it ends
/// once it has none; with the hard stop it ends at once. One without a call under way ends after the times in `limits`.
///
/// hyper's own limit for a head counts from the end of the call before, so that it would end connections that are kept,
/// or let a silent one be for as long; and it costs each call a timer.
pub async fn attend<C: GracefulConnection>(
    connection: C,
    line: &Line,
    limits: &Limits,
    soft_stop: &CancellationToken,
    hard_stop: &CancellationToken,
) -> Option<Result<(), C::Error>> {
    let mut connection = pin!(connection);
    let mut look = pin!(sleep(limits.head));
    let mut closing = false;
    // The calls that had begun when nothing was under way the last time.
    let mut quiet = None;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return Some(ended),
            () = soft_stop.cancelled(), if !closing => {}
            () = hard_stop.cancelled(), if closing => return None,
            () = look.as_mut() => {
                let (begun, busy) = (line.begun(), line.is_busy());
                let over = !busy && (closing || begun == 0 || quiet == Some(begun));
                if over && closing {
                    return None;
                }
                quiet = (!busy).then_some(begun);
                let next = if closing { CLOSING } else { limits.keep_alive };
                look.as_mut().reset(Instant::now() + next);
                if !over {
                    continue;
                }
                tracing::debug!("a connection was open for too long without a call");
            }
        }
        closing = true;
        connection.as_mut().graceful_shutdown();
        look.as_mut().reset(Instant::now() + CLOSING);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::Response;
    use http_body_util::Full;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto::Builder;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::*;

    const HEAD: Duration = Duration::from_secs(30);
    const KEEP_ALIVE: Duration = Duration::from_secs(600);
    const CALL: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    /// A connection whose calls take so long, and the time it took to end once it has.
    fn serve(takes: Duration, soft_stop: &CancellationToken) -> (DuplexStream, JoinHandle<Duration>) {
        let (caller, io) = duplex(1024);
        let (line, soft_stop) = (Line::default(), soft_stop.clone());
        let limits = Limits { connections: 1, head: HEAD, keep_alive: KEEP_ALIVE };
        let served = async move {
            let began = Instant::now();
            let service = service_fn(|_| {
                let busy = line.begin();
                async move {
                    sleep(takes).await;
                    drop(busy);
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
                }
            });
            let builder = Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
            let _ = attend(connection, &line, &limits, &soft_stop, &CancellationToken::new()).await;
            began.elapsed()
        };
        #[expect(clippy::disallowed_methods, reason = "each test awaits it")]
        (caller, tokio::spawn(served))
    }

    async fn call(caller: &mut DuplexStream) {
        caller.write_all(CALL).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"ok") {
            assert_ne!(caller.read_buf(&mut answer).await.unwrap(), 0, "the connection was cut");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_sends_no_head_in_time_ends() {
        for sent in ["", "GET / HTTP/1.1\r\nhost:", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let (mut caller, served) = serve(Duration::ZERO, &CancellationToken::new());
            caller.write_all(sent.as_bytes()).await.unwrap();
            let took = served.await.unwrap();
            assert!(took >= HEAD && took < HEAD + 2 * CLOSING, "{sent:?}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_trickles_its_head_ends() {
        let (mut caller, served) = serve(Duration::ZERO, &CancellationToken::new());
        while caller.write_all(b"G").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        assert!(served.await.unwrap() < HEAD + 2 * CLOSING);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_used_now_and_then_stays_until_it_is_no_more() {
        let (mut caller, served) = serve(Duration::ZERO, &CancellationToken::new());
        for pause in [1, 60, 299, 599, 60, 599] {
            call(&mut caller).await;
            sleep(Duration::from_secs(pause)).await;
        }
        call(&mut caller).await;
        let last = Instant::now();
        served.await.unwrap();
        assert!(last.elapsed() >= KEEP_ALIVE && last.elapsed() < 2 * KEEP_ALIVE + 2 * CLOSING);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_may_take_as_long_as_it_takes() {
        let hours = Duration::from_secs(5 * 3600);
        let (mut caller, served) = serve(hours, &CancellationToken::new());
        call(&mut caller).await;
        call(&mut caller).await;
        assert!(served.await.unwrap() > 2 * hours);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_a_call_and_for_nothing_else() {
        let stop = CancellationToken::new();
        let (_silent, served) = serve(Duration::ZERO, &stop);
        let (mut caller, busy) = serve(Duration::from_secs(100), &stop);
        caller.write_all(CALL).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        stop.cancel();
        assert!(served.await.unwrap() <= Duration::from_secs(2) + CLOSING);
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(b"ok"));
        assert!(busy.await.unwrap() >= Duration::from_secs(100));
    }
}
