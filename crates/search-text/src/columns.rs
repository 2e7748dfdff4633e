//! Which columns of an exchange words are looked for in, beside the fields of its document.

use verbatim_core::model::Exchange;

/// The texts of models, path, app, tags and tools, each apart from the others. Empty ones are left out.
pub fn columns(exchange: &Exchange) -> impl Iterator<Item = &str> {
    let served =
        exchange.model_served.as_ref().filter(|served| exchange.model_asked.as_ref() != Some(served));
    let single = [exchange.model_asked.as_ref(), served, Some(&exchange.path), exchange.caller.app.as_ref()];
    let columns = single.into_iter().flatten().chain(&exchange.tags).chain(&exchange.tools_called);
    columns.map(String::as_str).filter(|text| !text.is_empty())
}
