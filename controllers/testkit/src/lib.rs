//! Test doubles of the controllers' surroundings.
