//! verbatim-log-sqlite
