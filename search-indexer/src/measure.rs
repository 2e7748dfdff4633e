//! The indexer's metrics. Labels are from closed sets.

/// What became of a claimed exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Became {
    Indexed,
    /// It can't be indexed.
    SetAside,
    /// The archive no longer has it.
    Gone,
}

/// Counts exchanges that are done with.
pub(crate) fn done(became: Became, count: u64) {
    let result = match became {
        Became::Indexed => "indexed",
        Became::SetAside => "set_aside",
        Became::Gone => "gone",
    };
    metrics::counter!("verbatim_indexer_exchanges_total", "result" => result).increment(count);
}

/// Counts a failure that may pass.
pub(crate) fn failed(doing: &'static str) {
    metrics::counter!("verbatim_indexer_failures_total", "doing" => doing).increment(1);
}

/// Entries of the outbox that are not settled.
pub(crate) fn outbox(entries: u64, set_aside: u64) {
    metrics::gauge!("verbatim_outbox_entries").set(entries as f64);
    metrics::gauge!("verbatim_outbox_set_aside").set(set_aside as f64);
}

/// Seconds between a look at the outbox and all that it gave being settled.
pub(crate) fn pass(took: std::time::Duration) {
    metrics::histogram!("verbatim_indexer_pass_seconds").record(took.as_secs_f64());
}
