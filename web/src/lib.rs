//! verbatim-web
