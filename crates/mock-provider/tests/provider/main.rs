//! The mock provider as its callers see it, over real sockets.

#[cfg(test)]
mod anthropic;
#[cfg(test)]
mod client;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod directives;
#[cfg(test)]
mod gemini;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod media;
#[cfg(test)]
mod ollama;
#[cfg(test)]
mod openai;
#[cfg(test)]
mod process;
#[cfg(test)]
mod realtime;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod responses;
