//! Control-plane harness and tests from outside.
