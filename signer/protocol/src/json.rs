//! A key's constraints as JSON, as they stand in the effect that people approve before they become looser.
//!
//! Names are those of the protocol's JSON mapping; what says nothing is left out; lists are sorted. Both ends write it with
//! this code, so equal constraints have equal text.

use crate::v1alpha1::{Constraints, Subtrees};
use serde_json::{Map, Value};

fn list<T: Ord + Clone + Into<Value>>(fields: &mut Map<String, Value>, name: &str, items: &[T]) {
    if !items.is_empty() {
        let mut items = items.to_vec();
        items.sort();
        items.dedup();
        fields.insert(name.to_owned(), Value::Array(items.into_iter().map(Into::into).collect()));
    }
}

fn subtrees(fields: &mut Map<String, Value>, name: &str, subtrees: Option<&Subtrees>) {
    let Some(Subtrees { dns_domains, ip_ranges, email_addresses, uri_domains }) = subtrees else { return };
    let mut inner = Map::new();
    list(&mut inner, "dnsDomains", dns_domains);
    list(&mut inner, "ipRanges", ip_ranges);
    list(&mut inner, "emailAddresses", email_addresses);
    list(&mut inner, "uriDomains", uri_domains);
    if !inner.is_empty() {
        fields.insert(name.to_owned(), Value::Object(inner));
    }
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
    } = of;
    let mut fields = Map::new();
    if let Some(length) = path_length {
        fields.insert("pathLength".into(), (*length).into());
    }
    subtrees(&mut fields, "permitted", permitted.as_ref());
    subtrees(&mut fields, "excluded", excluded.as_ref());
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
    if let Some(demands) = approvals {
        let classes = [
            ("firstIssuanceOfName", &demands.first_issuance_of_name),
            ("anyIssuance", &demands.any_issuance),
            ("caCertificates", &demands.ca_certificates),
            ("loosening", &demands.loosening),
        ];
        let named = classes.into_iter().filter(|(_, class)| !class.is_empty());
        let named: Map<_, _> =
            named.map(|(name, class)| (name.to_owned(), Value::String(class.clone()))).collect();
        if !named.is_empty() {
            fields.insert("approvals".into(), Value::Object(named));
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1alpha1::ApprovalDemands;
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
}
