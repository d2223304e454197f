//! Bounded strings, lists and maps as schemas.
//!
//! kube-apiserver estimates the cost of every CEL rule from these bounds and refuses a definition without them, so each
//! string, list and map of a spec or status comes from here. Rules with a message stand in for `pattern`, whose refusal
//! shows only the expression.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::Rule;
use schemars::{JsonSchema as _, Schema, SchemaGenerator, json_schema};

use crate::rules;

/// At most this many DNS names in a certificate.
const DNS_NAMES: u32 = 1000;
/// At most this many names of each other kind in a certificate.
const OTHER_NAMES: u32 = 256;
/// At most this many values of one attribute of a subject.
const ATTRIBUTE_VALUES: u32 = 16;
/// At most this many name constraints of one kind.
const CONSTRAINTS: u32 = 64;
/// At most this many URLs of one kind in an authority.
const URLS: u32 = 8;
/// At most this many labels or annotations in a template.
const TEMPLATE_ENTRIES: u32 = 64;

/// A string of `min` to `max` characters under `rules`.
fn text(min: u32, max: u32, rules: impl IntoIterator<Item = Rule>) -> Schema {
    ruled(json_schema!({ "type": "string", "minLength": min, "maxLength": max }), rules)
}

/// A list of at most `max` items.
fn list(max: u32, item: &Schema) -> Schema {
    json_schema!({ "type": "array", "maxItems": max, "items": item })
}

/// Adds rules to a schema.
fn ruled(mut schema: Schema, rules: impl IntoIterator<Item = Rule>) -> Schema {
    for rule in rules {
        kube::core::validate(&mut schema, rule).expect("a rule is plain text and serializes");
    }
    schema
}

/// A short name without rules of its own.
pub(crate) fn short_text(_: &mut SchemaGenerator) -> Schema {
    text(0, 253, [])
}

/// The name of an object: an RFC 1123 subdomain.
pub(crate) fn object_name(_: &mut SchemaGenerator) -> Schema {
    text(1, 253, [rules::object_name()])
}

/// A common name: RFC 5280 ub-common-name.
pub(crate) fn common_name(_: &mut SchemaGenerator) -> Schema {
    text(1, 64, [rules::plain_text()])
}

/// Attribute values of at most 64 characters.
pub(crate) fn attribute_values_64(_: &mut SchemaGenerator) -> Schema {
    list(ATTRIBUTE_VALUES, &text(1, 64, [rules::plain_text()]))
}

/// Attribute values of at most 128 characters.
pub(crate) fn attribute_values_128(_: &mut SchemaGenerator) -> Schema {
    list(ATTRIBUTE_VALUES, &text(1, 128, [rules::plain_text()]))
}

/// Attribute values of at most 40 characters.
pub(crate) fn attribute_values_40(_: &mut SchemaGenerator) -> Schema {
    list(ATTRIBUTE_VALUES, &text(1, 40, [rules::plain_text()]))
}

/// Two-letter country codes.
pub(crate) fn countries(_: &mut SchemaGenerator) -> Schema {
    list(ATTRIBUTE_VALUES, &text(1, 64, [rules::country()]))
}

/// The serialNumber attribute: a PrintableString.
pub(crate) fn subject_serial_number(_: &mut SchemaGenerator) -> Schema {
    text(1, 64, [rules::printable()])
}

/// DNS names of a certificate.
pub(crate) fn dns_names(_: &mut SchemaGenerator) -> Schema {
    list(DNS_NAMES, &text(1, 253, [rules::dns_name(), rules::dns_name_is_no_address()]))
}

/// IP addresses of a certificate.
pub(crate) fn ip_addresses(_: &mut SchemaGenerator) -> Schema {
    list(OTHER_NAMES, &text(1, 45, [rules::ip_address()]))
}

/// URIs of a certificate.
pub(crate) fn uris(_: &mut SchemaGenerator) -> Schema {
    list(OTHER_NAMES, &text(1, 2048, [rules::uri()]))
}

/// E-mail addresses of a certificate: RFC 5321 bounds the path at 254 characters.
pub(crate) fn email_addresses(_: &mut SchemaGenerator) -> Schema {
    list(OTHER_NAMES, &text(1, 254, [rules::email_address()]))
}

/// A duration of at least `floor`.
fn duration(field: &str, floor: &str) -> Schema {
    text(1, 24, [rules::duration(field), rules::duration_floor(field, floor)])
}

/// `duration` of a Certificate.
pub(crate) fn certificate_duration(_: &mut SchemaGenerator) -> Schema {
    duration("duration", "5m")
}

/// `renewBefore` of a Certificate.
pub(crate) fn renew_before(_: &mut SchemaGenerator) -> Schema {
    duration("renewBefore", "1m")
}

/// `duration` of an authority.
pub(crate) fn authority_duration(_: &mut SchemaGenerator) -> Schema {
    duration("duration", "5m")
}

/// `maxLeafDuration` of an authority.
pub(crate) fn max_leaf_duration(_: &mut SchemaGenerator) -> Schema {
    duration("maxLeafDuration", "5m")
}

/// `maxDuration` of a profile.
pub(crate) fn profile_max_duration(_: &mut SchemaGenerator) -> Schema {
    duration("maxDuration", "5m")
}

/// Name of a profile.
pub(crate) fn profile_name(_: &mut SchemaGenerator) -> Schema {
    text(1, 63, [rules::profile_name()])
}

/// What a profile is for.
pub(crate) fn profile_description(_: &mut SchemaGenerator) -> Schema {
    text(0, 1024, [])
}

/// Profiles of an authority.
pub(crate) fn profiles(generator: &mut SchemaGenerator) -> Schema {
    keyed::<crate::CertificateProfile>(generator, 0, 16, "name")
}

/// `maxLeafDuration` as a status shows it.
pub(crate) fn longest_leaf(_: &mut SchemaGenerator) -> Schema {
    text(1, 32, [])
}

/// http and https URLs.
pub(crate) fn urls(_: &mut SchemaGenerator) -> Schema {
    list(URLS, &text(1, 2048, [rules::http_url()]))
}

/// DNS domains of a name constraint.
pub(crate) fn constraint_dns_domains(_: &mut SchemaGenerator) -> Schema {
    list(CONSTRAINTS, &text(1, 253, [rules::constraint_dns_domain()]))
}

/// IP ranges of a name constraint.
pub(crate) fn constraint_ip_ranges(_: &mut SchemaGenerator) -> Schema {
    list(CONSTRAINTS, &text(1, 49, [rules::cidr(), rules::cidr_without_host_bits()]))
}

/// Mailboxes, hosts and domains of a name constraint.
pub(crate) fn constraint_email_addresses(_: &mut SchemaGenerator) -> Schema {
    list(CONSTRAINTS, &text(1, 254, [rules::constraint_email_address()]))
}

/// Hosts and domains of URIs in a name constraint.
pub(crate) fn constraint_uri_domains(_: &mut SchemaGenerator) -> Schema {
    list(CONSTRAINTS, &text(1, 253, [rules::constraint_uri_domain()]))
}

/// Annotations of the Secret.
pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    template(&text(0, 16384, []), "annotations")
}

/// Labels of the Secret.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    template(&text(0, 63, [rules::label_value()]), "labels")
}

/// Entries that are put on the Secret.
fn template(value: &Schema, field: &str) -> Schema {
    let map = json_schema!({
        "type": "object",
        "maxProperties": TEMPLATE_ENTRIES,
        "additionalProperties": value,
    });
    ruled(map, [rules::template_keys_are_free(field), rules::template_keys_are_well_formed(field)])
}

/// The serial number of a certificate: at most 20 octets (RFC 5280 section 4.1.2.2).
pub(crate) fn hex_serial(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 40, "pattern": "^[0-9a-f]*$" })
}

/// A key identifier.
pub(crate) fn hex_key_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 128, "pattern": "^[0-9a-f]*$" })
}

/// The UID of an object.
pub(crate) fn uid(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 128 })
}

/// The resourceVersion of an object.
pub(crate) fn resource_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 64 })
}

/// A chain in PEM. Eight ML-DSA-87 certificates with their names need less.
pub(crate) fn pem_chain(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 131_072 })
}

/// Rego source. Larger ones are for bundles.
pub(crate) fn rego(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 131_072 })
}

/// Documents of a policy: JSON of any shape under names that Rego can say. No rule looks at the names here: CEL needs values
/// of a type. Whoever compiles the policy refuses `keywright`, where the rules are.
pub(crate) fn policy_data(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": { "x-kubernetes-preserve-unknown-fields": true },
    })
}

/// Namespaces that a policy is about.
pub(crate) fn policy_namespaces(_: &mut SchemaGenerator) -> Schema {
    list(256, &text(1, 63, [rules::object_name()]))
}

/// A SHA-256 digest with its algorithm in front.
pub(crate) fn digest(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 71, "pattern": "^sha256:[0-9a-f]{64}$" })
}

/// A key of a ConfigMap.
pub(crate) fn config_map_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 253, "pattern": "^[-._a-zA-Z0-9]+$" })
}

/// A list whose items are objects with `key` as their name.
fn keyed<T: schemars::JsonSchema>(generator: &mut SchemaGenerator, min: u32, max: u32, key: &str) -> Schema {
    let item = T::json_schema(generator);
    json_schema!({
        "type": "array",
        "minItems": min,
        "maxItems": max,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": [key],
        "items": item,
    })
}

/// Groups of a class.
pub(crate) fn approval_groups(generator: &mut SchemaGenerator) -> Schema {
    keyed::<crate::ApprovalGroup>(generator, 1, 8, "name")
}

/// People with several accounts.
pub(crate) fn approval_principals(generator: &mut SchemaGenerator) -> Schema {
    keyed::<crate::ApprovalPrincipal>(generator, 0, 256, "name")
}

/// Where notices go.
pub(crate) fn notify_targets(generator: &mut SchemaGenerator) -> Schema {
    keyed::<crate::NotifyTarget>(generator, 0, 8, "name")
}

/// Votes of a request.
pub(crate) fn vote_summaries(generator: &mut SchemaGenerator) -> Schema {
    keyed::<crate::VoteSummary>(generator, 0, 64, "name")
}

/// Groups that lack people.
pub(crate) fn missing_approvals(generator: &mut SchemaGenerator) -> Schema {
    keyed::<crate::MissingApproval>(generator, 0, 16, "group")
}

/// Delivered notices: target and event.
pub(crate) fn notices_sent(_: &mut SchemaGenerator) -> Schema {
    list(64, &text(1, 80, []))
}

/// `requestTTL` of a class.
pub(crate) fn request_ttl(_: &mut SchemaGenerator) -> Schema {
    duration("requestTTL", "1m")
}

/// `grantTTL` of a class.
pub(crate) fn grant_ttl(_: &mut SchemaGenerator) -> Schema {
    duration("grantTTL", "1m")
}

/// Name of a group or target of a class.
pub(crate) fn approval_group_name(_: &mut SchemaGenerator) -> Schema {
    text(1, 48, [rules::approval_group_name()])
}

/// A username, or the UID of one.
pub(crate) fn username(_: &mut SchemaGenerator) -> Schema {
    text(0, 253, [])
}

/// Those who changed an object.
pub(crate) fn target_editors(generator: &mut SchemaGenerator) -> Schema {
    list(64, &<crate::TargetEditor as schemars::JsonSchema>::json_schema(generator))
}

/// Usernames or groups that a class names.
pub(crate) fn usernames(_: &mut SchemaGenerator) -> Schema {
    list(64, &text(1, 253, []))
}

/// Groups of somebody: as many as an authenticator gives.
pub(crate) fn user_groups(_: &mut SchemaGenerator) -> Schema {
    list(512, &text(0, 253, []))
}

/// Extra facts about somebody.
pub(crate) fn user_extra(_: &mut SchemaGenerator) -> Schema {
    let values = list(32, &text(0, 1024, []));
    json_schema!({ "type": "object", "maxProperties": 32, "additionalProperties": values })
}

/// One CamelCase word.
pub(crate) fn action(_: &mut SchemaGenerator) -> Schema {
    text(1, 63, [rules::action()])
}

/// The digest of an effect.
pub(crate) fn effect_digest(_: &mut SchemaGenerator) -> Schema {
    text(71, 71, [rules::effect_digest()])
}

/// An effect: a certificate of a thousand names fits.
pub(crate) fn effect(_: &mut SchemaGenerator) -> Schema {
    text(2, 393_216, [])
}

/// What changes, for people.
pub(crate) fn diff(_: &mut SchemaGenerator) -> Schema {
    text(0, 16384, [])
}

/// Why, in a person's words.
pub(crate) fn reason(_: &mut SchemaGenerator) -> Schema {
    text(0, 1024, [])
}

/// An armoured signature of OpenSSH.
pub(crate) fn ssh_signature(_: &mut SchemaGenerator) -> Schema {
    text(1, 16384, [rules::ssh_signature()])
}

/// The key of an entry of a Secret.
pub(crate) fn secret_key(_: &mut SchemaGenerator) -> Schema {
    text(1, 253, [])
}

/// Conditions as a list map keyed by `type`; bounds as those that Go's `metav1.Condition` declares.
pub(crate) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut since = Time::json_schema(generator);
    since.insert("description".into(), "When status last changed.".into());
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "One aspect of the state of this object.",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "type": "string",
                    "description": "Type of the condition, such as Ready.",
                    "maxLength": 316,
                    "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
                "status": {
                    "type": "string",
                    "description": "True, False or Unknown.",
                    "enum": ["True", "False", "Unknown"],
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "Generation of the spec that this condition speaks of.",
                },
                "lastTransitionTime": since,
                "reason": {
                    "type": "string",
                    "description": "Why, as one CamelCase word that programs may rely on.",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {
                    "type": "string",
                    "description": "Why, in words for people; names what to do where something is to be done.",
                    "maxLength": 32768,
                },
            },
        },
    })
}
