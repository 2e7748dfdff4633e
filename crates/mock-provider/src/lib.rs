//! verbatim-mock-provider
