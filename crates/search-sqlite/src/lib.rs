//! verbatim-search-sqlite
