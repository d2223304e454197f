//! DER helpers.
