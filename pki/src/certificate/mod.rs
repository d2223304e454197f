//! X.509 certificates: from a template to the bytes that get signed, to a certificate, and back.
//!
//! ```text
//! Template --tbs_der--> TbsDer --(lint, record, sign elsewhere)--> seal --> DER, or assemble --> Certificate
//! ```
//! Owns the encoding (RFC 5280 section 4). Never signs, never decides whether a certificate may exist.

mod parsed;
mod serial;
mod template;
mod validity;

pub use parsed::{Certificate, MAX_LEN, ParseError};
pub use serial::{Serial, SerialError};
pub use template::{AssembleError, CaProfile, TbsDer, Template, TemplateError, assemble, fetched_urls, seal};
pub use validity::{Validity, ValidityError};
