//! CEL rules and the messages with which kube-apiserver refuses what breaks them.
//!
//! Each message names the field, the rule and the fix. Sources: Kubernetes CEL libraries (ip, cidr, format), RFC 1123 for
//! names, RFC 5280 section 4.2.1.10 for what lies within what.
//!
//! Two things to know when adding one. A rule runs even where another rule on the same value failed, so a rule that
//! parses a value first asks whether it is well formed. And transition rules sit on `spec` and `spec.authority`, never
//! on an optional field: a rule on a field that an update removes does not run.

use kube::core::Rule;

use crate::Algorithm;

mod approval;
mod profile;
mod transition;
pub(crate) use approval::*;
pub(crate) use profile::*;
pub(crate) use transition::*;

/// One label of a DNS name, in either case.
const LABEL: &str = "[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?";
/// One label of a DNS name, in lower case.
const LOWER_LABEL: &str = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
/// The part of a mailbox before the `@`: an RFC 5322 dot-atom.
const LOCAL_PART: &str = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*";

/// A rule that a string matches an expression.
fn matches(expression: &str, message: &str) -> Rule {
    Rule::new(format!("self.matches(r\"{expression}\")")).message(message)
}

/// A rule that a string matches an expression and that its host is no IP address.
fn host_matches(expression: &str, message: &str) -> Rule {
    Rule::new(format!("self.matches(r\"{expression}\") && {NO_NUMBER_LAST}")).message(message)
}

/// The expression that a well-formed duration matches, as a CEL literal.
fn duration_literal() -> String {
    format!("r\"{}\"", crate::duration::PATTERN)
}

/// Names of objects.
pub(crate) fn object_name() -> Rule {
    matches(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "must be a lower-case RFC 1123 name: write lower-case letters, digits, '-' and '.', as in web-tls",
    )
}

/// The only group of issuers.
pub(crate) fn issuer_group() -> Rule {
    Rule::new("self == '' || self == 'keywright.dev'").message(
        "issuerRef.group must be keywright.dev: only Keywright's own issuers can be named; remove the field",
    )
}

/// Country codes.
pub(crate) fn country() -> Rule {
    matches(
        "^[A-Z]{2}$",
        "subject.countries must be two capital letters of ISO 3166: write DE, not Germany or de",
    )
}

/// PrintableString.
pub(crate) fn printable() -> Rule {
    matches(
        "^[A-Za-z0-9 '()+,./:=?-]*$",
        "subject.serialNumber must be printable ASCII: use letters, digits, spaces and ' ( ) + , - . / : = ?",
    )
}

/// Values of a distinguished name.
pub(crate) fn plain_text() -> Rule {
    matches(
        "^[^\\p{Cc}]*[^\\p{Cc}\\p{Z}][^\\p{Cc}]*$",
        "must be plain text: remove line breaks and other control characters, or leave a blank value out",
    )
}

/// That the last label of a host, when all of the value is well formed, is not a number.
const NO_NUMBER_LAST: &str = "!self.matches(r\"(^|[.@])[0-9]+$\")";

/// DNS names of certificates.
pub(crate) fn dns_name() -> Rule {
    matches(
        &format!("^(\\*\\.)?{LABEL}(\\.{LABEL})*$"),
        "dnsNames must be DNS names: labels of letters, digits and '-' (1 to 63 characters, no '-' at the ends) joined by \
         single dots, no dot at the end, '*' only as the whole first label, as in *.example.com",
    )
}

/// DNS names do not look like addresses.
pub(crate) fn dns_name_is_no_address() -> Rule {
    Rule::new(NO_NUMBER_LAST)
        .message("dnsNames must not end in a number, as IP addresses do: move addresses to ipAddresses")
}

/// IP addresses of certificates.
pub(crate) fn ip_address() -> Rule {
    Rule::new("isIP(self)").message(
        "ipAddresses must be IPv4 or IPv6 addresses: write 10.0.0.7 or 2001:db8::7, without port, prefix length, zone or \
         leading zeros",
    )
}

/// URIs of certificates.
pub(crate) fn uri() -> Rule {
    Rule::new("self.matches(r\"^[a-z][a-z0-9+.-]*:[A-Za-z0-9._~:/?#\\[\\]@!$&'()*+,;=%-]+$\") && isURL(self)").message(
        "uris must be absolute URIs in ASCII: write the scheme first and in lower case, as in spiffe://example.com/web, \
         and percent-encode what RFC 3986 does not allow",
    )
}

/// E-mail addresses of certificates.
pub(crate) fn email_address() -> Rule {
    Rule::new(format!(
        "self.matches(r\"^{LOCAL_PART}@{LABEL}(\\.{LABEL})*$\") && self.indexOf('@') <= 64 && {NO_NUMBER_LAST}"
    ))
    .message(
        "emailAddresses must be plain addresses: write user@example.com, without display name, quotes or angle brackets, \
         at most 64 characters before the @ and a host name after it",
    )
}

/// Well-formed durations.
pub(crate) fn duration(field: &str) -> Rule {
    Rule::new(format!("self.matches({})", duration_literal())).message(&*format!(
        "{field} must be a length of time: write whole hours, minutes and seconds in this order, as in 2160h, 90m or 1h30m"
    ))
}

/// Durations of at least `floor`.
pub(crate) fn duration_floor(field: &str, floor: &str) -> Rule {
    Rule::new(format!("!self.matches({}) || duration(self) >= duration('{floor}')", duration_literal()))
        .message(&*format!("{field} must be at least {floor}: write {floor} or more"))
}

/// http and https URLs.
pub(crate) fn http_url() -> Rule {
    Rule::new("self.matches(r\"^https?://[!-~]+$\") && isURL(self)")
        .message("must be an http or https URL in ASCII: write http://pki.example.com/root.crl")
}

/// DNS domains of a name constraint.
pub(crate) fn constraint_dns_domain() -> Rule {
    host_matches(
        &format!("^{LOWER_LABEL}(\\.{LOWER_LABEL})*$"),
        "nameConstraints dnsDomains must be lower-case DNS names without leading dot or wildcard: write example.com, \
         which stands for itself and everything below it",
    )
}

/// Ranges of addresses.
pub(crate) fn cidr() -> Rule {
    Rule::new("isCIDR(self)")
        .message("nameConstraints ipRanges must be in CIDR form: write 10.0.0.0/8 or 2001:db8::/32; one address ends in /32 or /128")
}

/// Ranges that begin at their own network address.
pub(crate) fn cidr_without_host_bits() -> Rule {
    Rule::new("!isCIDR(self) || cidr(self) == cidr(self).masked()").message(
        "nameConstraints ipRanges must not have bits set after the prefix: write the network address, as in 10.0.0.0/8 \
         instead of 10.1.2.3/8",
    )
}

/// Mailboxes, hosts and domains of a name constraint.
pub(crate) fn constraint_email_address() -> Rule {
    host_matches(
        &format!("^({LOCAL_PART}@{LOWER_LABEL}|\\.?{LOWER_LABEL})(\\.{LOWER_LABEL})*$"),
        "nameConstraints emailAddresses must be a mailbox (ops@example.com), a host (example.com) or a domain with a \
         leading dot (.example.com); hosts in lower case",
    )
}

/// Hosts and domains of URIs in a name constraint.
pub(crate) fn constraint_uri_domain() -> Rule {
    host_matches(
        &format!("^\\.?{LOWER_LABEL}(\\.{LOWER_LABEL})*$"),
        "nameConstraints uriDomains must be a host (api.example.com) or a domain with a leading dot (.example.com), in \
         lower case, without scheme, port or path",
    )
}

/// Values of labels.
pub(crate) fn label_value() -> Rule {
    matches(
        "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        "secretTemplate.labels values must begin and end with a letter or digit and hold only letters, digits, '-', '_' \
         and '.'",
    )
}

/// Keys that a template may set.
pub(crate) fn template_keys_are_free(field: &str) -> Rule {
    Rule::new(
        "self.all(key, !['keywright.dev/', 'kubernetes.io/'].exists(domain, key.startsWith(domain)) && \
         !['.keywright.dev/', '/kubectl.kubernetes.io/', '/applyset.kubernetes.io/'].exists(domain, \
         ('/' + key).contains(domain)))",
    )
    .message(&*format!(
        "secretTemplate.{field} must not set keys under keywright.dev, kubernetes.io, kubectl.kubernetes.io or \
         applyset.kubernetes.io, which mean something to controllers: remove them or use a domain of your own"
    ))
}

/// Keys that Kubernetes accepts.
pub(crate) fn template_keys_are_well_formed(field: &str) -> Rule {
    Rule::new("self.all(key, !format.qualifiedName().validate(key).hasValue())").message(&*format!(
        "secretTemplate.{field} must have keys of the form name or example.com/name: at most 63 letters, digits, '-', \
         '_' and '.' after an optional DNS domain"
    ))
}

/// The size fits the algorithm. The list of pairs comes from [`Algorithm::sizes`].
pub(crate) fn key_size_fits() -> Rule {
    let mut pairs = Vec::new();
    let mut words = Vec::new();
    for algorithm in Algorithm::ALL {
        let sizes: Vec<String> = algorithm.sizes().iter().map(ToString::to_string).collect();
        let chosen = if algorithm == Algorithm::default() {
            format!("(!has(self.algorithm) || self.algorithm == '{}')", algorithm.name())
        } else {
            format!("(has(self.algorithm) && self.algorithm == '{}')", algorithm.name())
        };
        if sizes.is_empty() {
            words.push(format!("{} without size", algorithm.name()));
        } else {
            pairs.push(format!("({chosen} && self.size in [{}])", sizes.join(", ")));
            words.push(format!("{} {}", algorithm.name(), sizes.join("/")));
        }
    }
    Rule::new(format!("!has(self.size) || {}", pairs.join(" || "))).message(&*format!(
        "privateKey.size does not fit privateKey.algorithm: write one of {}, or leave size out for the default",
        words.join(", ")
    ))
}

/// `PKCS1` only where it means something.
pub(crate) fn pkcs1_fits() -> Rule {
    Rule::new(
        "!has(self.encoding) || self.encoding != 'PKCS1' || !has(self.algorithm) || self.algorithm in ['RSA', 'ECDSA']",
    )
    .message("privateKey.encoding PKCS1 is defined for RSA and ECDSA only: write PKCS8 or remove the field")
}

/// Whether any attribute of `subject` is set, in CEL.
fn subject_is_set() -> String {
    let lists: Vec<String> = SUBJECT_LISTS
        .iter()
        .map(|list| format!("(has(self.subject.{list}) && size(self.subject.{list}) > 0)"))
        .collect();
    format!("(has(self.subject) && (has(self.subject.serialNumber) || {}))", lists.join(" || "))
}

/// A certificate names something.
pub(crate) fn certificate_names_something() -> Rule {
    let lists: Vec<String> = ["dnsNames", "ipAddresses", "uris", "emailAddresses"]
        .iter()
        .map(|list| format!("(has(self.{list}) && size(self.{list}) > 0)"))
        .collect();
    Rule::new(format!("has(self.commonName) || {} || {}", lists.join(" || "), subject_is_set())).message(
        "spec names nothing: set at least one of commonName, subject, dnsNames, ipAddresses, uris, emailAddresses",
    )
}

/// Not both ways to say when renewal begins.
pub(crate) fn renew_before_or_percentage() -> Rule {
    Rule::new("!has(self.renewBefore) || !has(self.renewBeforePercentage)")
        .message("renewBefore and renewBeforePercentage exclude each other: remove one of them")
}

/// Renewal begins within the life.
pub(crate) fn renew_before_is_under_duration() -> Rule {
    let pattern = duration_literal();
    let default = crate::CertificateSpec::DEFAULT_DURATION;
    Rule::new(format!(
        "!has(self.renewBefore) || !self.renewBefore.matches({pattern}) || \
         (has(self.duration) && !self.duration.matches({pattern})) || \
         duration(self.renewBefore) < duration(has(self.duration) ? self.duration : '{default}')"
    ))
    .message(&*format!(
        "renewBefore must be less than duration (which is {default} when absent): lower renewBefore or raise duration"
    ))
}

/// Usages of authorities need `isCA`.
pub(crate) fn authority_usages_need_is_ca() -> Rule {
    Rule::new(
        "(has(self.isCA) && self.isCA) || !has(self.usages) || \
         !self.usages.exists(usage, usage == 'cert sign' || usage == 'crl sign')",
    )
    .message("usages 'cert sign' and 'crl sign' are for authorities: remove them or set isCA: true")
}

/// Exactly one member of the union.
pub(crate) fn exactly_one_member() -> Rule {
    Rule::new("has(self.authority)").message("spec must have exactly one member: set authority")
}

/// The parent of a cluster-scoped authority.
pub(crate) fn cluster_parent() -> Rule {
    Rule::new(
        "!has(self.authority) || !has(self.authority.issuerRef) || \
         (has(self.authority.issuerRef.kind) && self.authority.issuerRef.kind == 'ClusterIssuer')",
    )
    .message(
        "authority.issuerRef.kind must be ClusterIssuer in a ClusterIssuer, which belongs to no namespace: write kind: \
         ClusterIssuer",
    )
}

/// An authority has a name.
pub(crate) fn authority_names_something() -> Rule {
    Rule::new(format!("has(self.commonName) || {}", subject_is_set()))
        .message("authority names nothing: set commonName, subject or both")
}

/// A policy says in what its rules are written.
pub(crate) fn exactly_one_engine() -> Rule {
    Rule::new("has(self.rego) != has(self.bundle)")
        .message("spec must have exactly one engine: set either rego or bundle")
}

/// Only an Issuer is in a namespace.
pub(crate) fn policy_issuer_namespace() -> Rule {
    Rule::new("!has(self.namespace) || !has(self.kind) || self.kind == 'Issuer'").message(
        "appliesTo.issuers: a ClusterIssuer is in no namespace: remove namespace or write kind: Issuer",
    )
}
