//! JSON Web Tokens, read and not verified.

use super::{NoValue, text};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regorus::Value;

/// `io.jwt.decode(token)`: header, payload and, as hexadecimal, the signature of a token in compact form (RFC 7519).
/// Says nothing of who signed it.
pub(super) fn decode(arguments: &[Value]) -> Result<Value, NoValue> {
    let mut parts = text(arguments, 0)?.split('.');
    let mut next = || parts.next().ok_or(NoValue).and_then(bytes);
    let (header, payload, signature) = (next()?, next()?, next()?);
    if parts.next().is_some() {
        return Err(NoValue);
    }
    let members = [object(&header)?, object(&payload)?, Value::from(hex::encode(signature))];
    Ok(Value::from(members.to_vec()))
}

fn bytes(part: &str) -> Result<Vec<u8>, NoValue> {
    URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).map_err(|_| NoValue)
}

fn object(bytes: &[u8]) -> Result<Value, NoValue> {
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| NoValue)?;
    if json.is_object() { Ok(Value::from(json)) } else { Err(NoValue) }
}
