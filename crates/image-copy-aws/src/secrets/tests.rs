//! Reading secrets, and the errors of secrets that cannot be read.

use aws_smithy_http_client::test_util::infallible_client_fn;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::*;
use crate::testing::{clients_at, clients_over, failure, success};

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf";
const PARAMETER: &str = "arn:aws:ssm:eu-central-1:123456789012:parameter/logins/hub";
const USER: &str = "User: arn:aws:sts::123456789012:assumed-role/provider/x is not authorized to perform: ";
const OTHER_ACCOUNT_USER: &str =
    "User: arn:aws:sts::111122223333:assumed-role/provider/x is not authorized to perform: ";

/// Reads `arn` from services with the responses of `respond`.
async fn read(
    arn: &str,
    respond: impl Fn(&str, &str, &Value) -> http::Response<String> + Send + Sync + 'static,
) -> Result<SecretString, SecretReadError> {
    let http = infallible_client_fn(move |request| {
        let host = request.uri().host().unwrap().to_owned();
        let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
        respond(&host, &target, &serde_json::from_slice(request.body().bytes().unwrap()).unwrap())
    });
    clients_over(http).secrets().read(&arn.parse().unwrap(), None).await
}

#[tokio::test]
async fn reads_a_secret_in_the_region_and_version_of_its_arn() {
    for (suffix, stage, id) in [("", None, None), (":k:AWSPREVIOUS:v-1", Some("AWSPREVIOUS"), Some("v-1"))] {
        let arn = format!("{SECRET}{suffix}");
        let value = read(&arn, move |host, target, input| {
            assert_eq!(host, "secretsmanager.eu-west-1.amazonaws.com");
            assert_eq!(target, "secretsmanager.GetSecretValue");
            assert_eq!(input["SecretId"], SECRET);
            assert_eq!((input["VersionStage"].as_str(), input["VersionId"].as_str()), (stage, id));
            success(&json!({"SecretString": "planted"}))
        });
        assert_eq!(value.await.unwrap().expose_secret(), "planted");
    }
}

#[tokio::test]
async fn decrypts_a_parameter() {
    let value = read(PARAMETER, |host, target, input| {
        assert_eq!((host, target), ("ssm.eu-central-1.amazonaws.com", "AmazonSSM.GetParameter"));
        assert_eq!(*input, json!({"Name": PARAMETER, "WithDecryption": true}));
        success(&json!({"Parameter": {"Type": "SecureString", "Value": "planted"}}))
    });
    assert_eq!(value.await.unwrap().expose_secret(), "planted");
}

#[tokio::test]
async fn rejects_binary_secrets_and_plain_parameters_without_printing_them() {
    let binary = read(SECRET, |_, _, _| success(&json!({"SecretBinary": "cGxhbnRlZA=="}))).await.unwrap_err();
    assert_eq!(binary.to_string(), format!("secret {SECRET} could not be read: it contains bytes, not text"));
    let plain =
        read(PARAMETER, |_, _, _| success(&json!({"Parameter": {"Type": "String", "Value": "planted"}})));
    let plain = plain.await.unwrap_err();
    assert_eq!(
        plain.to_string(),
        format!("parameter {PARAMETER} could not be read: its type is String, not SecureString")
    );
    for error in [binary, plain] {
        assert_eq!(error.kind, SecretReadErrorKind::UnsupportedType);
        let shown = format!("{error:?}");
        assert!(!shown.contains("planted") && !shown.contains("cGxhbnRl"), "{shown}");
    }
}

#[tokio::test]
async fn maps_each_error_response_to_a_cause() {
    let denied = |action, is_other_account| SecretReadErrorKind::AccessDenied { action, is_other_account };
    for (arn, code, message, expected) in [
        (
            SECRET,
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.".to_owned(),
            SecretReadErrorKind::NotFound,
        ),
        (
            SECRET,
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for staging label: AWSOLD".into(),
            SecretReadErrorKind::VersionNotFound,
        ),
        (PARAMETER, "ParameterNotFound", String::new(), SecretReadErrorKind::NotFound),
        (
            SECRET,
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.".into(),
            SecretReadErrorKind::PendingDeletion,
        ),
        (SECRET, "AccessDeniedException", format!("{USER}{GET_SECRET}"), denied(GET_SECRET, false)),
        (SECRET, "AccessDeniedException", format!("{OTHER_ACCOUNT_USER}{GET_SECRET}"), denied(GET_SECRET, true)),
        (PARAMETER, "AccessDeniedException", format!("{USER}{GET_PARAMETER}"), denied(GET_PARAMETER, false)),
        (
            SECRET,
            "AccessDeniedException",
            "Access to KMS is not allowed".into(),
            SecretReadErrorKind::KmsKey { is_other_account: false },
        ),
        (
            PARAMETER,
            "AccessDeniedException",
            format!("{OTHER_ACCOUNT_USER}kms:Decrypt on resource: arn:aws:kms:x"),
            SecretReadErrorKind::KmsKey { is_other_account: true },
        ),
        (
            SECRET,
            "InvalidRequestException",
            "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key.".into(),
            SecretReadErrorKind::KmsKey { is_other_account: true },
        ),
        (PARAMETER, "InvalidKeyId", "the key is disabled".into(), SecretReadErrorKind::KmsKey { is_other_account: false }),
        (SECRET, "InvalidParameterException", "odd".into(), SecretReadErrorKind::Other),
    ] {
        let sent = message.clone();
        let error = read(arn, move |_, _, _| failure(code, &sent)).await.unwrap_err();
        assert_eq!(error.kind, expected, "{code} {message}");
        let text = error.to_string();
        assert!(text.contains(arn) && text.contains(code) && text.contains(&message), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[tokio::test]
async fn names_an_unreachable_service() {
    let clients = clients_at("http://127.0.0.1:1");
    let error = clients.secrets().read(&PARAMETER.parse().unwrap(), None).await.unwrap_err();
    assert_eq!(error.kind, SecretReadErrorKind::Unreachable { service: "ssm" });
    assert!(error.to_string().contains("ssm.eu-central-1.amazonaws.com"), "{error}");
}
