//! The requests, and the results of responses.

use std::sync::{Arc, Mutex};

use aws_smithy_http_client::test_util::infallible_client_fn;
use serde_json::json;

use super::*;
use crate::testing::{clients_over, clients_with, success};

const ROLE: &str = "arn:aws:iam::123456789012:role/provider";

#[tokio::test]
async fn the_account_is_part_of_the_registry_url() {
    let clients = clients_with(|_, _| {
        success(
            &json!({"authorizationData": [{"proxyEndpoint": "https://123456789012.dkr.ecr.us-east-1.amazonaws.com"}]}),
        )
    });
    assert_eq!(clients.caller_account().await.unwrap(), "123456789012");
    let none = clients_with(|_, _| success(&json!({"authorizationData": []})));
    assert!(none.caller_account().await.is_err());
}

#[tokio::test]
async fn a_function_has_a_role_and_variables() {
    let response = |body: serde_json::Value| {
        clients_over(infallible_client_fn(move |_| http::Response::builder().body(body.to_string()).unwrap()))
    };
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:provider";
    let body = json!({"Role": ROLE, "Environment": {"Variables": {"DEFAULT_PLATFORM": "all"}}});
    let read = response(body).function_configuration(arn).await.unwrap();
    assert_eq!((read.role.as_str(), read.environment.unwrap()["DEFAULT_PLATFORM"].as_str()), (ROLE, "all"));
    let body = json!({"Role": ROLE, "Environment": {"Error": {"ErrorCode": "AccessDeniedException", "Message": "no kms"}}});
    assert_eq!(response(body).function_configuration(arn).await.unwrap().environment, Err("no kms".into()));
    assert_eq!(function_region(arn), Some("eu-west-1"));
    assert_eq!(function_region("arn:aws:sns:eu-west-1:123456789012:topic"), None);
}

#[tokio::test]
async fn denied_actions_have_their_kind() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = bodies.clone();
    let clients = clients_over(infallible_client_fn(move |request| {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap()).into_owned();
        let action =
            if body.contains("GetAuthorizationToken") { "ecr:GetAuthorizationToken" } else { "ecr:PutImage" };
        let decision = if action == "ecr:PutImage" { "implicitDeny" } else { "explicitDeny" };
        seen.lock().unwrap().push(body);
        let result = format!(
            "<SimulatePrincipalPolicyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><SimulatePrincipalPolicyResult><EvaluationResults><member><EvalActionName>{action}</EvalActionName><EvalDecision>{decision}</EvalDecision></member><member><EvalActionName>ecr:BatchGetImage</EvalActionName><EvalDecision>allowed</EvalDecision></member></EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
        );
        http::Response::builder().body(result).unwrap()
    }));
    let arn: RepositoryArn = "arn:aws:ecr:eu-west-1:123456789012:repository/app".parse().unwrap();
    let denied = clients.denied_actions(ROLE, &arn).await.unwrap();
    let expected = [("ecr:GetAuthorizationToken", true), ("ecr:PutImage", false)];
    let expected = expected.map(|(action, is_explicit)| DeniedAction {
        action: action.into(),
        is_explicit,
        missing_keys: Vec::new(),
    });
    assert_eq!(denied, expected);
    let bodies = bodies.lock().unwrap();
    assert!(
        bodies[1]
            .contains("ResourceArns.member.1=arn%3Aaws%3Aecr%3Aeu-west-1%3A123456789012%3Arepository%2Fapp"),
        "{bodies:?}"
    );
}
