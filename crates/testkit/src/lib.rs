//! verbatim-testkit
