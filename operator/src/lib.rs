//! The operator binary.
