//! verbatim-gateway
