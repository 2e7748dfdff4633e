use verbatim_core::model::ProviderDialect;

use crate::golden;

#[test]
fn golden_exchanges_are_read_as_before() {
    golden::check(ProviderDialect::Openai, "openai_other");
}
