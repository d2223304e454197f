//! A key's constraints as JSON, as they stand in the effect that people approve before they become looser.
//!
//! Names are those of the protocol's JSON mapping; what says nothing is left out; lists are sorted. Both ends write it with
//! this code, so equal constraints have equal text.

use crate::v1alpha1::{ApprovalDemands, Constraints, Profile, Subtrees};
use serde_json::{Map, Value};

fn list<T: Ord + Clone + Into<Value>>(fields: &mut Map<String, Value>, name: &str, items: &[T]) {
    if !items.is_empty() {
        let mut items = items.to_vec();
        items.sort();
        items.dedup();
        fields.insert(name.to_owned(), Value::Array(items.into_iter().map(Into::into).collect()));
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, inner: Map<String, Value>) {
    if !inner.is_empty() {
        fields.insert(name.to_owned(), Value::Object(inner));
    }
}

/// Subtrees as a JSON object; empty where they say nothing.
pub fn subtrees(of: Option<&Subtrees>) -> Map<String, Value> {
    let mut inner = Map::new();
    let Some(Subtrees { dns_domains, ip_ranges, email_addresses, uri_domains }) = of else { return inner };
    list(&mut inner, "dnsDomains", dns_domains);
    list(&mut inner, "ipRanges", ip_ranges);
    list(&mut inner, "emailAddresses", email_addresses);
    list(&mut inner, "uriDomains", uri_domains);
    inner
}

/// Approval classes as a JSON object; empty where none is named.
pub fn demands(of: Option<&ApprovalDemands>) -> Map<String, Value> {
    let Some(ApprovalDemands { first_issuance_of_name, any_issuance, ca_certificates, loosening }) = of
    else {
        return Map::new();
    };
    let classes = [
        ("firstIssuanceOfName", first_issuance_of_name),
        ("anyIssuance", any_issuance),
        ("caCertificates", ca_certificates),
        ("loosening", loosening),
    ];
    let named = classes.into_iter().filter(|(_, class)| !class.is_empty());
    named.map(|(name, class)| (name.to_owned(), Value::String(class.clone()))).collect()
}

/// What a profile narrows. Its name is the field that it stands under.
fn profile(of: &Profile) -> Value {
    let Profile {
        name: _,
        permitted,
        excluded,
        max_leaf_seconds,
        allowed_usages,
        allowed_key_algorithms,
        allow_ca,
        approvals,
    } = of;
    let mut fields = Map::new();
    put(&mut fields, "permitted", subtrees(permitted.as_ref()));
    put(&mut fields, "excluded", subtrees(excluded.as_ref()));
    if let Some(seconds) = max_leaf_seconds {
        fields.insert("maxLeafSeconds".into(), (*seconds).into());
    }
    list(&mut fields, "allowedUsages", allowed_usages);
    list(&mut fields, "allowedKeyAlgorithms", allowed_key_algorithms);
    if *allow_ca {
        fields.insert("allowCa".into(), true.into());
    }
    put(&mut fields, "approvals", demands(approvals.as_ref()));
    Value::Object(fields)
}

/// The constraints as a JSON object.
pub fn constraints(of: &Constraints) -> Value {
    let Constraints {
        path_length,
        permitted,
        excluded,
        max_leaf_seconds,
        allowed_usages,
        allowed_key_algorithms,
        allow_ca,
        crl_distribution_points,
        ocsp_servers,
        issuing_certificate_urls,
        allowed_callers,
        rate_per_second,
        burst,
        approvals,
        profiles,
    } = of;
    let mut fields = Map::new();
    if let Some(length) = path_length {
        fields.insert("pathLength".into(), (*length).into());
    }
    put(&mut fields, "permitted", subtrees(permitted.as_ref()));
    put(&mut fields, "excluded", subtrees(excluded.as_ref()));
    if let Some(seconds) = max_leaf_seconds {
        fields.insert("maxLeafSeconds".into(), (*seconds).into());
    }
    list(&mut fields, "allowedUsages", allowed_usages);
    list(&mut fields, "allowedKeyAlgorithms", allowed_key_algorithms);
    if *allow_ca {
        fields.insert("allowCa".into(), true.into());
    }
    list(&mut fields, "crlDistributionPoints", crl_distribution_points);
    list(&mut fields, "ocspServers", ocsp_servers);
    list(&mut fields, "issuingCertificateUrls", issuing_certificate_urls);
    list(&mut fields, "allowedCallers", allowed_callers);
    for (name, limit) in [("ratePerSecond", rate_per_second), ("burst", burst)] {
        if let Some(limit) = limit {
            fields.insert(name.to_owned(), (*limit).into());
        }
    }
    put(&mut fields, "approvals", demands(approvals.as_ref()));
    let named = profiles.iter().map(|one| (one.name.clone(), profile(one)));
    put(&mut fields, "profiles", named.collect());
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_says_nothing_is_left_out_and_lists_are_sets() {
        assert_eq!(constraints(&Constraints::default()), json!({}));
        let empty = Constraints {
            permitted: Some(Subtrees::default()),
            approvals: Some(ApprovalDemands::default()),
            ..Default::default()
        };
        assert_eq!(constraints(&empty), json!({}));
        let some = Constraints {
            path_length: Some(0),
            permitted: Some(Subtrees {
                dns_domains: vec!["b".into(), "a".into(), "b".into()],
                ..Default::default()
            }),
            allowed_key_algorithms: vec![2, 1],
            allowed_callers: vec!["keywright-operator".into()],
            rate_per_second: Some(5),
            burst: Some(9),
            approvals: Some(ApprovalDemands { loosening: "security".into(), ..Default::default() }),
            ..Default::default()
        };
        let wanted = json!({"pathLength": 0, "permitted": {"dnsDomains": ["a", "b"]},
            "allowedKeyAlgorithms": [1, 2], "allowedCallers": ["keywright-operator"], "ratePerSecond": 5, "burst": 9,
            "approvals": {"loosening": "security"}});
        assert_eq!(constraints(&some), wanted);
    }

    #[test]
    fn a_profile_stands_under_its_name_even_if_it_narrows_nothing() {
        let web = Profile {
            name: "web".into(),
            max_leaf_seconds: Some(3600),
            allowed_usages: vec!["server auth".into(), "client auth".into()],
            allow_ca: true,
            approvals: Some(ApprovalDemands { any_issuance: "production".into(), ..Default::default() }),
            ..Default::default()
        };
        let any = Profile { name: "any".into(), permitted: Some(Subtrees::default()), ..Default::default() };
        let some = Constraints { profiles: vec![web, any], ..Default::default() };
        let wanted = json!({"profiles": {"any": {}, "web": {"maxLeafSeconds": 3600, "allowCa": true,
            "allowedUsages": ["client auth", "server auth"], "approvals": {"anyIssuance": "production"}}}});
        assert_eq!(constraints(&some), wanted);
    }
}
