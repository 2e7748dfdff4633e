//! A provider for tests, benchmarks and `verbatim demo`: it speaks the dialects of OpenAI, Anthropic, Gemini
//! and Ollama, answers from the request alone (the same call gets the same answer, in the question's
//! language), misbehaves as directed, and keeps a ledger of what it really received and sent.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use verbatim_mock_provider::{Config, MockProvider};
//!
//! let mock = MockProvider::start(Config::default()).await?;
//! let base_url = mock.base_url(); // http://127.0.0.1:<port>; every endpoint is found below any prefix
//! // ... calls, with `x-mock-id` to find them again and `x-mock` to direct them ...
//! mock.ledger().wait_for(1).await;
//! for entry in mock.ledger().entries() {
//!     println!("{} {} {:?}", entry.method, entry.response.blake3, entry.ending);
//! }
//! mock.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Beside the dialects' endpoints there are `/raw/<bytes>` (pseudo-random bytes), `/echo` (the request's body, as
//! it comes), `/v1/realtime` (a WebSocket that echoes), and, for the mock as a process of its own
//! (`verbatim-mock-provider`), the ledger as `GET /__mock/ledger?from=<n>` and `GET /__mock/totals`.
//!
//! | request header | does |
//! |---|---|
//! | `x-mock-id` | names the exchange in the ledger; the response repeats it, or has a new one |
//! | `x-mock` | directs the answer: see [`Directives`] for every word |
//! | `x-mock-replay` | answers with this line of the recorded traffic: see [`Recordings`] |
//!
//! It must not know Verbatim's records or its relay: it judges them, so it shares nothing with them but the
//! clock.

mod answer;
mod anthropic;
mod body;
mod call;
mod compose;
mod compress;
mod config;
mod connection;
pub mod demo;
mod directives;
mod endpoints;
mod errors;
mod gemini;
mod ledger;
mod minimal;
mod multipart;
mod ollama;
mod openai;
mod random;
mod replay;
mod route;
mod server;
mod service;
mod shape;
mod sse;
mod vector;
mod websocket;

pub use config::Config;
pub use directives::{
    DIRECTIVES_HEADER, DirectiveError, Directives, Encoding, Fault, FaultKind, FaultPoint, Finish,
};
pub use ledger::{
    BodyDigest, Detail, Digest, Ending, Entry, HeadLines, ID_HEADER, Ledger, LedgerOptions, Totals,
};
pub use replay::{REPLAY_HEADER, Recording, Recordings, ReplayError};
pub use server::{MockProvider, StartError};
