//! STS, the portal of IAM Identity Center, and the endpoints of containers and instances.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use std::time::{Duration, SystemTime};

use common::{Fixture, KEY, body, element, query_error, signed};
use reqwest::Method;
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::210987654321:role/images";

/// Calls STS, and returns the status and the body.
async fn sts(fixture: &Fixture, authorization: &str, form: &[(&str, &str)]) -> (u16, String) {
    fixture.query("https://sts.eu-west-1.amazonaws.com/", authorization, form).await
}

/// Returns true if ECR accepts an access key.
async fn is_accepted(fixture: &Fixture, key: &str) -> bool {
    let authorization = signed(key, "ecr");
    fixture.call_signed("eu-west-1", "GetAuthorizationToken", json!({}), &authorization).await.0 == 200
}

#[tokio::test]
async fn a_role_has_an_access_key_that_expires() {
    let fixture = Fixture::start().await;
    fixture.emulator.sts().add_role(ROLE);
    let form = [("Action", "AssumeRole"), ("RoleArn", ROLE), ("RoleSessionName", "ci")];
    let (status, xml) = sts(&fixture, &signed(KEY, "sts"), &form).await;
    assert_eq!(status, 200, "{xml}");
    assert_eq!(element(&xml, "Arn"), "arn:aws:sts::210987654321:assumed-role/images/ci");
    let key = element(&xml, "AccessKeyId");
    let call = async || {
        fixture.call_signed("eu-west-1", "GetAuthorizationToken", json!({}), &signed(&key, "ecr")).await
    };
    assert_eq!(call().await.0, 200);
    fixture.emulator.expire_credentials();
    let (status, output) = call().await;
    assert_eq!((status, &output["__type"]), (400, &json!("ExpiredTokenException")));
    let expired = sts(&fixture, &signed(&key, "sts"), &form).await;
    let message = "The security token included in the request is expired";
    assert_eq!(query_error(&expired), (403, "ExpiredToken".into(), message.into()));
}

#[tokio::test]
async fn sts_rejects_calls_with_its_own_errors() {
    let fixture = Fixture::start().await;
    fixture.emulator.sts().add_role_with_external_id(ROLE, "acme");
    let (action, role, session) = (("Action", "AssumeRole"), ("RoleArn", ROLE), ("RoleSessionName", "ci"));
    let own = signed(KEY, "sts");
    for (authorization, form, expected) in [
        (own.as_str(), vec![action, role, session], (403, "AccessDenied")),
        (&own, vec![action, role, session, ("ExternalId", "other")], (403, "AccessDenied")),
        (&own, vec![action, ("RoleArn", "arn:aws:iam::1:role/gone"), session], (403, "AccessDenied")),
        (&own, vec![action, session], (400, "ValidationError")),
        (&own, vec![action, role, ("RoleSessionName", "c")], (400, "ValidationError")),
        (&own, vec![("Action", "GetFederationToken")], (400, "InvalidAction")),
        (&signed("AKIAUNKNOWN", "sts"), vec![action, role, session], (403, "InvalidClientTokenId")),
        (&signed(KEY, "ecr"), vec![action, role, session], (403, "SignatureDoesNotMatch")),
        ("", vec![action, role, session], (403, "MissingAuthenticationToken")),
    ] {
        let (status, code, message) = query_error(&sts(&fixture, authorization, &form).await);
        assert_eq!((status, code.as_str()), expected, "{message}");
    }
    let form = [action, role, session, ("ExternalId", "acme")];
    assert_eq!(sts(&fixture, &own, &form).await.0, 200);
}

#[tokio::test]
async fn web_identities_need_a_valid_token_and_no_signature() {
    let fixture = Fixture::start().await;
    let identities = fixture.emulator.sts();
    identities.add_role(ROLE);
    let now = SystemTime::now();
    let valid = identities.issue_web_identity(now + Duration::from_secs(60));
    let expired = identities.issue_web_identity(now - Duration::from_secs(60));
    let other = Fixture::start().await;
    let foreign = other.emulator.sts().issue_web_identity(now + Duration::from_secs(60));
    let assume = async |role: &str, token: &str| {
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", role),
            ("RoleSessionName", "ci"),
            ("WebIdentityToken", token),
        ];
        sts(&fixture, "", &form).await
    };
    let (status, xml) = assume(ROLE, &valid).await;
    assert_eq!(
        (status, element(&xml, "SubjectFromWebIdentityToken").as_str()),
        (200, "system:serviceaccount:ci:images")
    );
    for (role, token, expected) in [
        (ROLE, expired.as_str(), (400, "ExpiredTokenException")),
        (ROLE, &foreign, (400, "InvalidIdentityToken")),
        (ROLE, "x", (400, "InvalidIdentityToken")),
        ("arn:aws:iam::1:role/gone", &valid, (403, "AccessDenied")),
    ] {
        let (status, code, message) = query_error(&assume(role, token).await);
        assert_eq!((status, code.as_str()), expected, "{message}");
    }
}

#[tokio::test]
async fn the_portal_issues_credentials_to_signed_in_users() {
    let fixture = Fixture::start().await;
    let sso = fixture.emulator.sso();
    sso.add_role("123456789012", "Images");
    let get = async |token: &str, role: &str, path: &str| {
        let url = format!(
            "https://portal.sso.eu-west-1.amazonaws.com/{path}?account_id=123456789012&role_name={role}"
        );
        let request = fixture.request(Method::GET, &url, "").header("x-amz-sso_bearer_token", token);
        let response = request.send().await.unwrap();
        let error = common::header(&response, "x-amzn-errortype");
        (response.status().as_u16(), error, body(response).await)
    };
    let token = sso.sign_in(Duration::from_secs(60));
    let (status, _, output) = get(&token, "Images", "federation/credentials").await;
    assert_eq!(status, 200, "{output}");
    let key = output["roleCredentials"]["accessKeyId"].as_str().unwrap();
    assert!(is_accepted(&fixture, key).await);
    let expired = sso.sign_in(Duration::ZERO);
    for (token, role, path, expected) in [
        (expired.as_str(), "Images", "federation/credentials", (401, "UnauthorizedException")),
        ("x", "Images", "federation/credentials", (401, "UnauthorizedException")),
        (&token, "Admin", "federation/credentials", (403, "ForbiddenException")),
        (&token, "Images", "assignment/accounts", (404, "UnknownOperationException")),
    ] {
        let (status, error, _) = get(token, role, path).await;
        assert_eq!((status, error.as_str()), expected);
    }
    sso.sign_out();
    assert_eq!(get(&token, "Images", "federation/credentials").await.0, 401);
}

#[tokio::test]
async fn containers_and_instances_need_a_token() {
    let fixture = Fixture::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let container = fixture.emulator.container_credentials().await.unwrap();
    let get = async |token: &str| {
        let response = http.get(&container.url).header("authorization", token).send().await.unwrap();
        (response.status().as_u16(), body(response).await)
    };
    let accepts = async |output: &Value| is_accepted(&fixture, output["AccessKeyId"].as_str().unwrap()).await;
    assert_eq!(get("x").await.0, 401);
    assert!(accepts(&get(&container.token).await.1).await);

    let instance = fixture.emulator.instance_metadata().await.unwrap();
    let role = format!("{instance}/latest/meta-data/iam/security-credentials/");
    assert_eq!(http.get(&role).send().await.unwrap().status(), 401);
    let token = http.put(format!("{instance}/latest/api/token"));
    let token = token.header("x-aws-ec2-metadata-token-ttl-seconds", "60").send().await.unwrap();
    let token = token.text().await.unwrap();
    let get = async |url: &str| {
        let response = http.get(url).header("x-aws-ec2-metadata-token", &token).send().await.unwrap();
        response.text().await.unwrap()
    };
    let credentials = get(&format!("{role}{}", get(&role).await)).await;
    assert!(accepts(&serde_json::from_str(&credentials).unwrap()).await);
    assert_eq!(get(&format!("{role}other")).await, "");
}

#[tokio::test]
async fn iam_simulates_the_denied_actions_of_the_role() {
    let fixture = Fixture::start().await;
    let role = fixture.emulator.iam().role_arn();
    assert_eq!(role, "arn:aws:iam::123456789012:role/emulated-role");
    let (python, node) = (fixture.emulator.repository_arn("python"), fixture.emulator.repository_arn("node"));
    fixture.emulator.ecr().deny("ecr:PutImage", &python);
    let signed_for = |service: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, \
             Signature=0"
        )
    };
    let simulate = async |more: &[(&str, &str)]| {
        let form = [&[("Action", "SimulatePrincipalPolicy")], more].concat();
        fixture.query("https://iam.amazonaws.com/", &signed_for("iam"), &form).await
    };
    let source = ("PolicySourceArn", role.as_str());
    let actions = [("ActionNames.member.1", "ecr:PutImage"), ("ActionNames.member.2", "ecr:BatchGetImage")];
    let resources = [("ResourceArns.member.1", python.as_str()), ("ResourceArns.member.2", &node)];
    let form = [&[source], &actions[..], &resources[..]].concat();
    let (status, xml) = simulate(&form).await;
    assert_eq!((status, element(&xml, "IsTruncated").as_str()), (200, "false"), "{xml}");
    let decision = |xml: &str| {
        let results = element(xml, "EvaluationResults");
        let results: Vec<_> = results.split("<EvalActionName>").skip(1).map(ToOwned::to_owned).collect();
        let line = |result: &String| {
            let (name, rest) = result.split_once('<').unwrap();
            let details =
                rest.split("<EvalResourceDecision>").skip(1).map(|rest| rest.split_once('<').unwrap().0);
            [vec![name, element(rest, "EvalDecision").as_str()], details.collect()].concat().join(" ")
        };
        results.iter().map(line).collect::<Vec<_>>()
    };
    let expected =
        ["ecr:PutImage implicitDeny implicitDeny allowed", "ecr:BatchGetImage allowed allowed allowed"];
    assert_eq!(decision(&xml), expected);

    let (_, xml) = simulate(&[&form[..], &[("MaxItems", "1")]].concat()).await;
    assert_eq!((decision(&xml), element(&xml, "Marker").as_str()), (vec![expected[0].to_owned()], "1"));
    let (_, xml) = simulate(&[&form[..], &[("Marker", "1")]].concat()).await;
    assert_eq!(decision(&xml), expected[1..]);

    let action = actions[0];
    for (form, expected) in [
        (vec![action], (400, "ValidationError")),
        (vec![source], (400, "ValidationError")),
        (vec![("PolicySourceArn", "arn:aws:iam::123456789012:role/gone"), action], (404, "NoSuchEntity")),
        (vec![("PolicySourceArn", "emulated-role"), action], (400, "InvalidInput")),
        (
            vec![source, action, ("ResourceArns.member.1", "*"), ("ResourceArns.member.2", "x")],
            (400, "InvalidInput"),
        ),
        (vec![source, ("ActionNames.member.1", "sns:Publish")], (400, "InvalidAction")),
        (vec![source, action, ("CallerArn", "x")], (400, "InvalidAction")),
    ] {
        let (status, code, message) = query_error(&simulate(&form).await);
        assert_eq!((status, code.as_str()), expected, "{message}");
    }
    let call = async |authorization: &str, action: &str| {
        let form = [("Action", action), source, ("ActionNames.member.1", "ecr:PutImage")];
        query_error(&fixture.query("https://iam.amazonaws.com/", authorization, &form).await)
    };
    assert_eq!(call(&signed_for("sts"), "SimulatePrincipalPolicy").await.1, "SignatureDoesNotMatch");
    let (status, code, message) = call(&signed_for("iam"), "GetRole").await;
    assert_eq!((status, code.as_str()), (400, "InvalidAction"));
    assert_eq!(message, "aws-emulator: iam:GetRole is not implemented");
    fixture.emulator.iam().deny("iam:*", "*");
    let (status, code, message) = call(&signed_for("iam"), "SimulatePrincipalPolicy").await;
    assert_eq!((status, code.as_str()), (403, "AccessDenied"));
    assert!(message.contains(&format!("iam:SimulatePrincipalPolicy on resource: {role}")), "{message}");
}
