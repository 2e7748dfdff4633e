//! verbatim-search-indexer
