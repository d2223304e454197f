//! The isolated process that holds the keys.
