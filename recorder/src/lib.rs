//! verbatim-recorder
