//! verbatim-telemetry
