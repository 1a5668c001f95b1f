//! A panic in the middle of an event.

use aws_emulator::{Effect, Fault};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::account;
use crate::common::{creation, failure};
use crate::search::{PASSWORD, RIGHT, check};

/// A login of ECR's that ended before there was time: nothing is prepared for such an answer, for
/// nobody but AWS gives it. A function that survives it needs another way to be made to panic here.
#[tokio::test]
async fn a_panic_tells_nothing_of_what_was_at_hand() {
    let account = account().await;
    let hub = account.world.emulator.docker_hub();
    hub.add_user("ann", RIGHT);
    hub.make_private("library/python", &["ann"]);
    let secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:login-AbCdEf";
    let login = json!({"username": "ann", "password": RIGHT});
    account.world.emulator.secrets().put(secret, &login.to_string());
    let token = BASE64_STANDARD.encode(format!("AWS:{PASSWORD}"));
    let body = format!(
        r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":-9223372036854775807}}]}}"#
    );
    let headers = [("content-type".to_owned(), "application/x-amz-json-1.1".to_owned())].into();
    let answer = Effect::Status { code: 200, headers, body };
    account.world.emulator.faults().add(Fault::on("ecr:GetAuthorizationToken", answer));
    let mut properties = account.properties("python:3.13");
    properties["CredentialArn"] = json!(secret);
    let turn = account.stack.send(creation(&properties)).await;
    let reason = failure(turn.answer().unwrap());
    assert!(reason.starts_with("the provider failed by a defect of its own."), "{reason}");
    let output = account.world.function.output().join("\n");
    assert!(output.contains("\"message\":\"panicked\""), "{output}");
    check(&account, &[turn]).await;
}
