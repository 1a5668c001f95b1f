//! What is read of a secret, and what is said of one that cannot be.

use aws_smithy_http_client::test_util::infallible_client_fn;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::*;
use crate::testing::{answer, clients, clients_at, refusal};

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf";
const PARAMETER: &str = "arn:aws:ssm:eu-central-1:123456789012:parameter/logins/hub";
const USER: &str = "User: arn:aws:sts::123456789012:assumed-role/provider/x is not authorized to perform: ";
const STRANGER: &str =
    "User: arn:aws:sts::111122223333:assumed-role/provider/x is not authorized to perform: ";

/// Reads `arn` from services that answer so; gives the call too.
async fn read(
    arn: &str,
    respond: impl Fn(&str, &str, &Value) -> http::Response<String> + Send + Sync + 'static,
) -> Result<SecretString, SecretReadError> {
    let http = infallible_client_fn(move |request| {
        let host = request.uri().host().unwrap().to_owned();
        let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
        respond(&host, &target, &serde_json::from_slice(request.body().bytes().unwrap()).unwrap())
    });
    clients(http).secrets().read(&arn.parse().unwrap(), None).await
}

#[tokio::test]
async fn a_secret_is_read_where_its_arn_says_and_in_the_version_it_names() {
    for (suffix, stage, id) in [("", None, None), (":k:AWSPREVIOUS:v-1", Some("AWSPREVIOUS"), Some("v-1"))] {
        let arn = format!("{SECRET}{suffix}");
        let value = read(&arn, move |host, target, input| {
            assert_eq!(host, "secretsmanager.eu-west-1.amazonaws.com");
            assert_eq!(target, "secretsmanager.GetSecretValue");
            assert_eq!(input["SecretId"], SECRET);
            assert_eq!((input["VersionStage"].as_str(), input["VersionId"].as_str()), (stage, id));
            answer(&json!({"SecretString": "planted"}))
        });
        assert_eq!(value.await.unwrap().expose_secret(), "planted");
    }
}

#[tokio::test]
async fn a_parameter_is_decrypted() {
    let value = read(PARAMETER, |host, target, input| {
        assert_eq!((host, target), ("ssm.eu-central-1.amazonaws.com", "AmazonSSM.GetParameter"));
        assert_eq!(*input, json!({"Name": PARAMETER, "WithDecryption": true}));
        answer(&json!({"Parameter": {"Type": "SecureString", "Value": "planted"}}))
    });
    assert_eq!(value.await.unwrap().expose_secret(), "planted");
}

#[tokio::test]
async fn what_holds_no_text_that_was_kept_well_is_told_without_its_value() {
    let binary = read(SECRET, |_, _, _| answer(&json!({"SecretBinary": "cGxhbnRlZA=="}))).await.unwrap_err();
    assert_eq!(binary.to_string(), format!("secret {SECRET} cannot be read: it holds bytes, not text"));
    let plain =
        read(PARAMETER, |_, _, _| answer(&json!({"Parameter": {"Type": "String", "Value": "planted"}})));
    let plain = plain.await.unwrap_err();
    assert_eq!(
        plain.to_string(),
        format!("parameter {PARAMETER} cannot be read: it is of type String, and not a SecureString")
    );
    for error in [binary, plain] {
        assert_eq!(error.kind, SecretReadErrorKind::UnsupportedType);
        let shown = format!("{error:?}");
        assert!(!shown.contains("planted") && !shown.contains("cGxhbnRl"), "{shown}");
    }
}

#[tokio::test]
async fn each_refusal_says_what_stands_in_the_way() {
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
        (SECRET, "AccessDeniedException", format!("{STRANGER}{GET_SECRET}"), denied(GET_SECRET, true)),
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
            format!("{STRANGER}kms:Decrypt on resource: arn:aws:kms:x"),
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
        let given = message.clone();
        let error = read(arn, move |_, _, _| refusal(code, &given)).await.unwrap_err();
        assert_eq!(error.kind, expected, "{code} {message}");
        let text = error.to_string();
        assert!(text.contains(arn) && text.contains(code) && text.contains(&message), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let clients = clients_at("http://127.0.0.1:1");
    let error = clients.secrets().read(&PARAMETER.parse().unwrap(), None).await.unwrap_err();
    assert_eq!(error.kind, SecretReadErrorKind::Unreachable { service: "ssm" });
    assert!(error.to_string().contains("ssm.eu-central-1.amazonaws.com"), "{error}");
}
