//! Repository policies, as far as they deny actions to a role.

use image_copy::text::matches_wildcards;
use serde_json::Value;

use crate::deployment::REPOSITORY_ACTIONS;

/// A repository policy.
#[derive(Debug)]
pub struct RepositoryPolicy(Value);

/// Denied actions.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PolicyDenials {
    /// Actions that a statement denies, such as `ecr:PutImage`.
    pub actions: Vec<String>,
    /// True if further statements deny actions depending on something that only the call has, such as a condition.
    pub depends_on_call: bool,
}

impl RepositoryPolicy {
    /// Parses the text of a policy. ECR has checked it.
    pub(crate) fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    /// Returns those of the actions of a copy that statements with `Deny` deny to a role
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>).
    #[must_use]
    pub fn denials(&self, role_arn: &str) -> PolicyDenials {
        let mut denials = PolicyDenials::default();
        for statement in elements(&self.0["Statement"]).filter(|statement| statement["Effect"] == "Deny") {
            let denied = REPOSITORY_ACTIONS
                .iter()
                .filter(|action| applies(statement, action))
                .map(|action| (*action).to_owned());
            let denied: Vec<String> = denied.filter(|action| !denials.actions.contains(action)).collect();
            if denied.is_empty() {
                continue;
            }
            match principal(statement, role_arn) {
                Principal::Other => {}
                Principal::Role if statement.get("Condition").is_none() => denials.actions.extend(denied),
                Principal::Role | Principal::Unknown => {
                    denials.depends_on_call |= !is_about_encryption(&statement["Condition"]);
                }
            }
        }
        denials
    }
}

/// Principal of a statement, compared with a role.
enum Principal {
    Role,
    Other,
    /// `NotPrincipal`, which IAM compares with the session of the role.
    Unknown,
}

fn principal(statement: &Value, role_arn: &str) -> Principal {
    let value = &statement["Principal"];
    if value.is_null() {
        return Principal::Unknown;
    }
    let account = role_arn.split(':').nth(4).unwrap_or_default();
    let root = format!(":iam::{account}:root");
    let names = if value.is_object() { &value["AWS"] } else { value };
    let is_role = |name: &str| name == "*" || name == role_arn || name == account || name.ends_with(&root);
    if elements(names).filter_map(Value::as_str).any(is_role) { Principal::Role } else { Principal::Other }
}

/// Returns true for the condition that denies only calls without TLS. The provider's calls use TLS.
fn is_about_encryption(condition: &Value) -> bool {
    let keys: Vec<_> = condition.as_object().into_iter().flatten().collect();
    matches!(&keys[..], [(operator, test)] if *operator == "Bool" && is_unencrypted(test))
}

fn is_unencrypted(test: &Value) -> bool {
    let [(key, value)] = &test.as_object().into_iter().flatten().collect::<Vec<_>>()[..] else {
        return false;
    };
    key.eq_ignore_ascii_case("aws:SecureTransport") && (*value == "false" || *value == false)
}

/// Returns true if the statement applies to the action.
fn applies(statement: &Value, action: &str) -> bool {
    let matches = |value: &Value| {
        let mut patterns = elements(value).filter_map(Value::as_str);
        patterns.any(|pattern| matches_wildcards(&pattern.to_lowercase(), &action.to_lowercase()))
    };
    match statement.get("NotAction") {
        Some(excluded) => !matches(excluded),
        None => matches(&statement["Action"]),
    }
}

/// Returns the elements of a list, or the only value.
fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/provider";

    #[test]
    fn finds_denied_actions() {
        let everyone = json!("*");
        for (principal, statement, actions, depends_on_call) in [
            (&everyone, json!({"Action": "ecr:*"}), REPOSITORY_ACTIONS.to_vec(), false),
            (&everyone, json!({"Action": ["ecr:DeleteRepository", "ecr:put*"]}), vec!["ecr:PutImage"], false),
            (
                &everyone,
                json!({"NotAction": ["ecr:*Layer*", "ecr:BatchGetImage"]}),
                vec!["ecr:PutImage"],
                false,
            ),
            (&everyone, json!({"Action": "ecr:DeleteRepository"}), vec![], false),
            (
                &everyone,
                json!({"Action": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
                vec![],
                false,
            ),
            (
                &everyone,
                json!({"Action": "*", "Condition": {"Bool": {"aws:ViaAWSService": "false"}}}),
                vec![],
                true,
            ),
            (&json!({"AWS": ROLE}), json!({"Action": "ecr:PutImage"}), vec!["ecr:PutImage"], false),
            (
                &json!({"AWS": ["123456789012"]}),
                json!({"Action": "ecr:PutImage"}),
                vec!["ecr:PutImage"],
                false,
            ),
            (
                &json!({"AWS": "arn:aws:iam::123456789012:root"}),
                json!({"Action": "ecr:PutImage"}),
                vec!["ecr:PutImage"],
                false,
            ),
            (&json!({"AWS": "arn:aws:iam::123456789012:role/other"}), json!({"Action": "*"}), vec![], false),
            (&json!({"Service": "codebuild.amazonaws.com"}), json!({"Action": "*"}), vec![], false),
            (&Value::Null, json!({"Action": "*", "NotPrincipal": {"AWS": ROLE}}), vec![], true),
        ] {
            let mut statement = statement;
            statement["Effect"] = json!("Deny");
            statement["Principal"] = principal.clone();
            let policy =
                json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*"}, statement]});
            let denials = RepositoryPolicy::parse(&policy.to_string()).denials(ROLE);
            let actions = actions.into_iter().map(ToOwned::to_owned).collect();
            assert_eq!(denials, PolicyDenials { actions, depends_on_call }, "{policy}");
        }
    }
}
