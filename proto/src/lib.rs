//! verbatim-proto
