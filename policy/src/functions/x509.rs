//! Certificates and requests, in the fields that OPA gives them: those of Go's `x509.Certificate`.
//!
//! Given are the fields that policies read; the raw bytes, keys and lesser extensions are left out. A list that has
//! nothing is `null`, as there.

use super::{NoValue, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use const_oid::db::{rfc4519, rfc5280, rfc5912, rfc8410};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::asn1::{BmpString, Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use der::{Any, Decode, DecodePem, Reader, SliceReader, Tag, Tagged};
use regorus::Value;
use serde_json::{Map, Value as Json, json};
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, ExtensionReq};

const PEM: &str = "-----BEGIN";

/// `crypto.x509.parse_certificates(text)`: the certificates of a PEM text, or of base64 of DER or of a PEM text.
pub(super) fn parse_certificates(arguments: &[Value]) -> Result<Value, NoValue> {
    let bytes = decoded(text(arguments, 0)?)?;
    let certificates = if bytes.starts_with(PEM.as_bytes()) {
        Certificate::load_pem_chain(&bytes).map_err(|_| NoValue)?
    } else {
        one_after_another(&bytes)?
    };
    if certificates.is_empty() {
        return Err(NoValue);
    }
    let all = certificates.iter().map(certificate).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::from(all))
}

/// `crypto.x509.parse_certificate_request(text)`: a PKCS#10 request, as PEM or as base64 of DER or of PEM.
pub(super) fn parse_request(arguments: &[Value]) -> Result<Value, NoValue> {
    let bytes = decoded(text(arguments, 0)?)?;
    let request =
        if bytes.starts_with(PEM.as_bytes()) { CertReq::from_pem(&bytes) } else { CertReq::from_der(&bytes) };
    let request = request.map_err(|_| NoValue)?;
    let asked: Extensions = request
        .info
        .attributes
        .iter()
        .filter(|attribute| attribute.oid == ExtensionReq::OID)
        .flat_map(|attribute| attribute.values.iter())
        .map(|value| value.decode_as::<ExtensionReq>().map(|list| list.0))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| NoValue)?
        .concat();
    let mut fields = Map::new();
    fields.insert("Version".into(), json!(0));
    fields.insert("Subject".into(), name(&request.info.subject)?);
    fields.insert("PublicKeyAlgorithm".into(), key_algorithm(request.info.public_key.algorithm.oid));
    fields.insert("SignatureAlgorithm".into(), signature_algorithm(request.algorithm.oid));
    names(&asked, &mut fields)?;
    Ok(Value::from(Json::Object(fields)))
}

fn decoded(text: &str) -> Result<Vec<u8>, NoValue> {
    let text = text.trim();
    if text.starts_with(PEM) {
        return Ok(text.as_bytes().to_vec());
    }
    STANDARD.decode(text).map_err(|_| NoValue)
}

fn one_after_another(der: &[u8]) -> Result<Vec<Certificate>, NoValue> {
    let mut reader = SliceReader::new(der).map_err(|_| NoValue)?;
    let mut all = Vec::new();
    while !reader.is_finished() {
        all.push(Certificate::decode(&mut reader).map_err(|_| NoValue)?);
    }
    Ok(all)
}

fn certificate(certificate: &Certificate) -> Result<Value, NoValue> {
    let tbs = certificate.tbs_certificate();
    let none = Vec::new();
    let extensions = tbs.extensions().unwrap_or(&none);
    let mut fields = Map::new();
    fields.insert("Version".into(), json!(tbs.version() as u8 + 1));
    fields.insert("Subject".into(), name(tbs.subject())?);
    fields.insert("Issuer".into(), name(tbs.issuer())?);
    fields.insert("NotBefore".into(), json!(tbs.validity().not_before.to_date_time().to_string()));
    fields.insert("NotAfter".into(), json!(tbs.validity().not_after.to_date_time().to_string()));
    fields.insert("PublicKeyAlgorithm".into(), key_algorithm(tbs.subject_public_key_info().algorithm.oid));
    fields.insert("SignatureAlgorithm".into(), signature_algorithm(certificate.signature_algorithm().oid));
    names(extensions, &mut fields)?;
    usages(extensions, &mut fields)?;
    let mut value = Value::from(Json::Object(fields));
    let serial = decimal(tbs.serial_number().as_bytes());
    let serial = Value::from_numeric_string(&serial).map_err(|_| NoValue)?;
    value.as_object_mut().map_err(|_| NoValue)?.insert(Value::from("SerialNumber"), serial);
    Ok(value)
}

/// A big-endian number of at most 21 bytes as decimal digits.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0_u8];
    for byte in bytes.iter().take(21) {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) * 256;
            *digit = u8::try_from(carry % 10).unwrap_or_default();
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or_default());
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

fn name(name: &Name) -> Result<Json, NoValue> {
    let mut lists = Map::new();
    for field in [
        "Country",
        "Organization",
        "OrganizationalUnit",
        "Locality",
        "Province",
        "StreetAddress",
        "PostalCode",
    ] {
        lists.insert(field.into(), Json::Null);
    }
    lists.insert("SerialNumber".into(), json!(""));
    lists.insert("CommonName".into(), json!(""));
    let mut all = Vec::new();
    for attribute in name.iter() {
        let Some(value) = string(&attribute.value) else { return Err(NoValue) };
        let arcs: Vec<u32> = attribute.oid.arcs().collect();
        all.push(json!({"Type": arcs, "Value": value}));
        match field(attribute.oid) {
            Some(one @ ("SerialNumber" | "CommonName")) => {
                lists.insert(one.into(), json!(value));
            }
            Some(many) => match lists.get_mut(many) {
                Some(Json::Array(list)) => list.push(json!(value)),
                _ => {
                    lists.insert(many.into(), json!([value]));
                }
            },
            None => {}
        }
    }
    lists.insert("Names".into(), if all.is_empty() { Json::Null } else { Json::Array(all) });
    lists.insert("ExtraNames".into(), Json::Null);
    Ok(Json::Object(lists))
}

fn field(oid: ObjectIdentifier) -> Option<&'static str> {
    match oid {
        rfc4519::COUNTRY_NAME => Some("Country"),
        rfc4519::ORGANIZATION_NAME => Some("Organization"),
        rfc4519::ORGANIZATIONAL_UNIT_NAME => Some("OrganizationalUnit"),
        rfc4519::LOCALITY_NAME => Some("Locality"),
        rfc4519::ST => Some("Province"),
        rfc4519::STREET => Some("StreetAddress"),
        rfc4519::POSTAL_CODE => Some("PostalCode"),
        rfc4519::SERIAL_NUMBER => Some("SerialNumber"),
        rfc4519::COMMON_NAME => Some("CommonName"),
        _ => None,
    }
}

fn string(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::PrintableString => {
            value.decode_as::<PrintableStringRef<'_>>().ok().map(|text| text.as_str().to_owned())
        }
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::TeletexString => {
            value.decode_as::<TeletexStringRef<'_>>().ok().map(|text| text.as_str().to_owned())
        }
        Tag::BmpString => value.decode_as::<BmpString>().ok().map(|text| text.to_string()),
        _ => None,
    }
}

fn extension<T: for<'a> Decode<'a> + AssociatedOid>(list: &[Extension]) -> Result<Option<T>, NoValue> {
    let mut found = list.iter().filter(|extension| extension.extn_id == T::OID);
    let first = found.next().map(|extension| T::from_der(extension.extn_value.as_bytes()));
    if found.next().is_some() {
        return Err(NoValue);
    }
    first.transpose().map_err(|_| NoValue)
}

fn names(extensions: &[Extension], fields: &mut Map<String, Json>) -> Result<(), NoValue> {
    let (mut dns, mut mail, mut ip, mut uri) = (vec![], vec![], vec![], vec![]);
    for name in extension::<SubjectAltName>(extensions)?.iter().flat_map(|names| &names.0) {
        match name {
            GeneralName::DnsName(name) => dns.push(name.to_string()),
            GeneralName::Rfc822Name(name) => mail.push(name.to_string()),
            GeneralName::UniformResourceIdentifier(name) => uri.push(name.to_string()),
            GeneralName::IpAddress(bytes) => ip.push(address(bytes.as_bytes()).ok_or(NoValue)?),
            GeneralName::OtherName(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::RegisteredId(_) => {}
        }
    }
    for (field, list) in
        [("DNSNames", dns), ("EmailAddresses", mail), ("IPAddresses", ip), ("URIStrings", uri)]
    {
        fields.insert(field.into(), if list.is_empty() { Json::Null } else { json!(list) });
    }
    Ok(())
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(|four| std::net::IpAddr::from(four).to_string());
    four.ok().or_else(|| <[u8; 16]>::try_from(bytes).ok().map(|six| std::net::IpAddr::from(six).to_string()))
}

fn usages(extensions: &[Extension], fields: &mut Map<String, Json>) -> Result<(), NoValue> {
    let bits = extension::<KeyUsage>(extensions)?.map_or(0, |usage| usage.0.bits());
    fields.insert("KeyUsage".into(), json!(bits));
    let extended = extension::<ExtendedKeyUsage>(extensions)?.map(|list| list.0).unwrap_or_default();
    let numbers: Vec<u8> = extended.iter().filter_map(|oid| extended_usage(*oid)).collect();
    let arcs: Vec<Vec<u32>> = extended
        .iter()
        .filter(|oid| extended_usage(**oid).is_none())
        .map(|oid| oid.arcs().collect())
        .collect();
    fields.insert("ExtKeyUsage".into(), if numbers.is_empty() { Json::Null } else { json!(numbers) });
    fields.insert("UnknownExtKeyUsage".into(), if arcs.is_empty() { Json::Null } else { json!(arcs) });
    let basic = extension::<BasicConstraints>(extensions)?;
    fields.insert("BasicConstraintsValid".into(), json!(basic.is_some()));
    fields.insert("IsCA".into(), json!(basic.as_ref().is_some_and(|basic| basic.ca)));
    let most = basic.as_ref().and_then(|basic| basic.path_len_constraint);
    // Go's words for "no limit": -1 where there are basic constraints, 0 where there are none.
    let absent = if basic.is_some() { -1 } else { 0 };
    fields.insert("MaxPathLen".into(), json!(most.map_or(absent, i32::from)));
    fields.insert("MaxPathLenZero".into(), json!(most == Some(0)));
    Ok(())
}

/// The numbers of Go's `x509.ExtKeyUsage`.
fn extended_usage(oid: ObjectIdentifier) -> Option<u8> {
    match oid {
        rfc5280::ANY_EXTENDED_KEY_USAGE => Some(0),
        rfc5280::ID_KP_SERVER_AUTH => Some(1),
        rfc5280::ID_KP_CLIENT_AUTH => Some(2),
        rfc5280::ID_KP_CODE_SIGNING => Some(3),
        rfc5280::ID_KP_EMAIL_PROTECTION => Some(4),
        rfc5280::ID_KP_TIME_STAMPING => Some(8),
        rfc5280::ID_KP_OCSP_SIGNING => Some(9),
        _ => None,
    }
}

/// The numbers of Go's `x509.PublicKeyAlgorithm`; 0 for those it does not know.
fn key_algorithm(oid: ObjectIdentifier) -> Json {
    match oid {
        rfc5912::RSA_ENCRYPTION => json!(1),
        rfc5912::ID_EC_PUBLIC_KEY => json!(3),
        rfc8410::ID_ED_25519 => json!(4),
        _ => json!(0),
    }
}

/// The numbers of Go's `x509.SignatureAlgorithm`; 0 for those it does not know, and for RSA-PSS.
fn signature_algorithm(oid: ObjectIdentifier) -> Json {
    match oid {
        rfc5912::SHA_1_WITH_RSA_ENCRYPTION => json!(3),
        rfc5912::SHA_256_WITH_RSA_ENCRYPTION => json!(4),
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION => json!(5),
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION => json!(6),
        rfc5912::ECDSA_WITH_SHA_256 => json!(10),
        rfc5912::ECDSA_WITH_SHA_384 => json!(11),
        rfc5912::ECDSA_WITH_SHA_512 => json!(12),
        rfc8410::ID_ED_25519 => json!(16),
        _ => json!(0),
    }
}
