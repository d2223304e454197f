//! X.509 certificates.

mod parsed;
mod serial;
mod template;
mod validity;

pub use parsed::{Certificate, ParseError};
pub use serial::{Serial, SerialError};
pub use template::{AssembleError, CaProfile, TbsDer, Template, TemplateError, assemble};
pub use validity::{Validity, ValidityError};
