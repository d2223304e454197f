//! Controllers: observe and apply.
