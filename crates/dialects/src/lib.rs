//! verbatim-dialects
