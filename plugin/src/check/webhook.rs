//! What a dry run through admission tells of the webhook, whose dry run may fail for reasons that are not the webhook's. Pure.

use super::judge::Finding;

/// How a refusal of the webhook's validating half begins; the rule and its words follow.
const REFUSAL: &str = "admission webhook \"validate.keywright.dev\" denied the request: ";
/// How the rule begins by which an object is refused that nobody stamped, by the webhook as by the policy beside it.
const UNSTAMPED: &str = "identity-";
/// What stands before the rule where it is that policy's.
const OF_POLICY: &str = "denied request: ";

/// What a dry run through admission came back with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Webhook {
    /// There is no configuration of it.
    NotInstalled,
    /// The object carries its author.
    Stamped,
    /// The object came back as it was sent.
    NotStamped,
    /// It was stamped and then refused by a rule, such as a policy's: the webhook answers.
    Refused(String),
    /// The request did not come as far as the webhook.
    NotAsked(String),
    /// Not answered, or nobody stamped it.
    Failed(String),
}

impl Webhook {
    /// Of an answer of the API server that is an error: its code and message.
    pub(super) fn of_error(code: u16, message: &str) -> Self {
        if let Some(rule) = message.strip_prefix(REFUSAL) {
            if rule.starts_with(UNSTAMPED) || code >= 500 {
                Self::Failed(message.to_owned())
            } else {
                Self::Refused(rule.to_owned())
            }
        } else if message.contains(&format!("{OF_POLICY}{UNSTAMPED}")) || !(400..500).contains(&code) {
            Self::Failed(message.to_owned())
        } else {
            // No right, no such namespace, a quota, admission of others.
            Self::NotAsked(message.to_owned())
        }
    }

    /// What is to be thought of it.
    pub(super) fn finding(&self) -> Finding {
        let check = "admission webhook";
        match self {
            Self::Stamped => Finding::passed(check, "a dry run came back with its author's name"),
            Self::Refused(rule) => {
                Finding::passed(check, format!("it answers, and refused the dry run: {rule}"))
            }
            Self::NotInstalled => {
                Finding::warning(check, "not installed", "who asks for a certificate is not recorded")
            }
            Self::NotAsked(why) => Finding::warning(
                check,
                format!("was not asked: {why}"),
                "name by -n a namespace in which you may create certificates",
            ),
            Self::NotStamped => Finding::failed(
                check,
                "a dry run came back without its author's name",
                "compare MutatingWebhookConfiguration keywright-webhook with the chart's",
            ),
            Self::Failed(problem) => Finding::failed(
                check,
                problem.clone(),
                "no object of group keywright.dev can be made or changed until it answers; see its logs",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::Verdict;
    use super::*;

    /// Messages as kube-apiserver 1.36 words them.
    #[test]
    fn only_what_is_the_webhooks_fault_is_said_to_be() {
        let table = [
            (
                403,
                "certificates.keywright.dev is forbidden: User \"watcher\" cannot create resource \"certificates\" in \
                 API group \"keywright.dev\" in the namespace \"default\"",
                Verdict::Warning,
            ),
            (404, "namespaces \"nothere\" not found", Verdict::Warning),
            (
                403,
                "certificates.keywright.dev \"keywright-check-probe\" is forbidden: exceeded quota: few, requested: \
                 count/certificates.keywright.dev=1, used: count/certificates.keywright.dev=1, limited: \
                 count/certificates.keywright.dev=1",
                Verdict::Warning,
            ),
            (
                403,
                "admission webhook \"validate.keywright.dev\" denied the request: policy: policy only-shop, rule deny: \
                 probe.keywright.test is not a name of the identity-provider",
                Verdict::Passed,
            ),
            (
                403,
                "admission webhook \"validate.keywright.dev\" denied the request: identity-forged: annotations \
                 keywright.dev/requester-* are not those of who makes this object",
                Verdict::Failed,
            ),
            (
                403,
                "certificates.keywright.dev \"keywright-check-probe\" is forbidden: ValidatingAdmissionPolicy \
                 'keywright-identity' with binding 'keywright-identity' denied request: identity-forged: annotations \
                 keywright.dev/requester-* are not those of who makes this object",
                Verdict::Failed,
            ),
            (
                503,
                "admission webhook \"validate.keywright.dev\" denied the request: unobserved: the policies are not known yet",
                Verdict::Failed,
            ),
            (
                500,
                "Internal error occurred: failed calling webhook \"mutate.keywright.dev\": failed to call webhook: Post \
                 \"https://keywright-webhook.keywright-system.svc:443/mutate?timeout=5s\": no endpoints available",
                Verdict::Failed,
            ),
        ];
        for (code, message, verdict) in table {
            let finding = Webhook::of_error(code, message).finding();
            assert_eq!(finding.verdict, verdict, "{message}");
            assert_eq!(finding.fix.is_some(), verdict != Verdict::Passed, "{message}");
        }
    }
}
