//! The pure decisions as tables: what is so on the left, what is done or said on the right.

#![allow(clippy::unwrap_used, clippy::panic, reason = "everything here is a test or serves one")]
#![allow(clippy::type_complexity, reason = "tables of what is so and of what follows")]

mod decide;
mod held;
mod issuer;
mod limits;
mod orders;
mod ready;
mod scene;
mod status;
mod untouched;
mod valid;
