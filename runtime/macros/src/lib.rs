//! The attribute macros of mainspring.
