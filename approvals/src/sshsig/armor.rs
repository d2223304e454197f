//! The armour: `-----BEGIN SSH SIGNATURE-----`, base64 in lines, `-----END SSH SIGNATURE-----`.

use super::verify::BadSshSignature;
use base64ct::{Base64, Encoding as _};

/// The longest text read, in bytes: an RSA-16384 signature with its key is shorter.
pub const MAX_LEN: usize = 16 * 1024;

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// The octets within the armour.
pub(super) fn read(text: &str) -> Result<Vec<u8>, BadSshSignature> {
    if text.len() > MAX_LEN {
        return Err(BadSshSignature::Armor("it is longer than 16 KiB"));
    }
    let body = text
        .trim()
        .strip_prefix(BEGIN)
        .ok_or(BadSshSignature::Armor("it does not begin with -----BEGIN SSH SIGNATURE-----"))?
        .strip_suffix(END)
        .ok_or(BadSshSignature::Armor("it does not end with -----END SSH SIGNATURE-----"))?;
    let base64: String = body.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    Base64::decode_vec(&base64).map_err(|_| BadSshSignature::Armor("it is not valid base64"))
}

/// Octets in armour, as ssh-keygen writes them.
pub fn armored(octets: &[u8]) -> String {
    const WIDTH: usize = 70;
    let base64 = Base64::encode_string(octets);
    let mut text = format!("{BEGIN}\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(WIDTH));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(END);
    text.push('\n');
    text
}
