//! The mock provider as its callers see it, over real sockets.

#[cfg(test)]
mod client;
#[cfg(test)]
mod directives;
#[cfg(test)]
mod ledger;
