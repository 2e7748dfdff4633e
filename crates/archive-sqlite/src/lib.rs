//! verbatim-archive-sqlite
