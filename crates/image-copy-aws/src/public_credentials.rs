//! Credentials for ECR Public, which has lower quotas for anonymous requests

use std::time::Duration;

use aws_config::Region;
use futures_util::future::BoxFuture;
use image_copy::oci;
use image_copy::registry::{Credentials, CredentialsProvider, Error};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clients::AwsClients;
use crate::endpoints::Service;
use crate::partition::Partition;
use crate::retry::{RetryPolicy, RetryingClient, is_transient};
use crate::token::AuthorizationToken;

/// The only Region with this API action
const REGION: &str = "us-east-1";
const ACTION: &str = "ecr-public:GetAuthorizationToken";
/// Time for the call, which can be far away. Without it, only quotas are lower.
const CALL_TIMEOUT: Duration = Duration::from_secs(6);

/// Consecutive transient failures that pause the calls. Each one can take [`CALL_TIMEOUT`].
const MAX_FAILURES: u32 = 3;
/// Time until the next attempt after [`MAX_FAILURES`].
const FAILURE_PAUSE: Duration = Duration::from_secs(300);

/// Credentials of the current AWS principal for ECR Public, if AWS issues them. Otherwise requests are
/// anonymous.
///
/// A denial is permanent, and so are rejected credentials: ECR Public rejects expired credentials even for
/// public images
pub struct EcrPublicCredentials {
    clients: AwsClients,
    state: Mutex<TokenState>,
}

enum TokenState {
    Unknown,
    /// Number of consecutive transient failures, and the time of the last one.
    Failed(u32, Instant),
    Token(AuthorizationToken),
    Anonymous,
}

impl EcrPublicCredentials {
    /// Creates credentials that are fetched through `clients`.
    #[must_use]
    pub fn new(clients: AwsClients) -> Self {
        // ECR Public accepts principals of the commercial partition only.
        let region = clients.config().region().map(Region::as_ref);
        let has_ecr_public = region.is_none_or(|region| Partition::of_region(region) == Partition::Aws);
        let state = if has_ecr_public { TokenState::Unknown } else { TokenState::Anonymous };
        Self { clients, state: Mutex::new(state) }
    }

    /// Returns true if `host` is ECR Public's registry, standard or dual-stack.
    #[must_use]
    pub fn is_for(host: &str) -> bool {
        let host = host.strip_suffix(":443").unwrap_or(host);
        ["public.ecr.aws", "ecr-public.aws.com"].iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    async fn find_credentials(&self, rejected: Option<&Credentials>) -> Option<Credentials> {
        // The lock is held during the request, so that other tasks wait instead of sending one too.
        let mut state = self.state.lock().await;
        match &*state {
            TokenState::Anonymous => return None,
            TokenState::Token(token) if rejected == Some(&token.credentials) => {
                tracing::info!("ECR Public rejected the credentials and is read anonymously");
                *state = TokenState::Anonymous;
                return None;
            }
            TokenState::Token(token) if token.is_usable(rejected) => return Some(token.credentials.clone()),
            TokenState::Failed(MAX_FAILURES.., last) if last.elapsed() < FAILURE_PAUSE => return None,
            TokenState::Token(_) | TokenState::Unknown | TokenState::Failed(..) => {}
        }
        match self.fetch().await {
            Ok(token) => {
                let credentials = token.credentials.clone();
                *state = TokenState::Token(token);
                Some(credentials)
            }
            Err(error) => {
                tracing::info!(reason = %error, "ECR Public is read anonymously");
                let failures = if let TokenState::Failed(failures, _) = *state { failures } else { 0 };
                *state = match is_transient(&error) {
                    true => TokenState::Failed(failures.saturating_add(1), Instant::now()),
                    false => TokenState::Anonymous,
                };
                None
            }
        }
    }

    async fn fetch(&self) -> Result<AuthorizationToken, Error> {
        let config = aws_sdk_ecrpublic::config::Builder::from(self.clients.config())
            .region(Region::from_static(REGION))
            .build();
        let sdk = aws_sdk_ecrpublic::Client::from_conf(config);
        let host = self.clients.api_host(Service::EcrPublic, REGION);
        let retry_policy = RetryPolicy { max_attempts: 2, ..self.clients.retry_policy() };
        let client = RetryingClient::new(sdk, host, Some(Instant::now() + CALL_TIMEOUT), retry_policy);
        let response = client.send(ACTION, || client.sdk.get_authorization_token().send()).await?;
        let data = response.authorization_data();
        let token =
            data.and_then(|data| AuthorizationToken::parse(data.authorization_token()?, data.expires_at()));
        token.ok_or(Error::Protocol("the authorization token of ECR Public cannot be decoded"))
    }
}

impl CredentialsProvider for EcrPublicCredentials {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        Box::pin(async move {
            Ok(if Self::is_for(repository.registry().as_str()) {
                self.find_credentials(rejected).await
            } else {
                None
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::SystemTime;

    use aws_smithy_http_client::test_util::infallible_client_fn;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;
    use crate::testing;

    const HOST: &str = "public.ecr.aws";

    fn credentials(
        response: impl Fn(usize) -> http::Response<String> + Send + Sync + 'static,
    ) -> (EcrPublicCredentials, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let http = infallible_client_fn(move |request| {
            assert_eq!(request.uri().host(), Some("api.ecr-public.us-east-1.amazonaws.com"));
            response(counter.fetch_add(1, Ordering::SeqCst))
        });
        (EcrPublicCredentials::new(testing::clients_over(http)), count)
    }

    fn token(number: usize) -> http::Response<String> {
        let expires = SystemTime::now() + Duration::from_secs(12 * 3600);
        let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        testing::success(&json!({"authorizationData": {
            "authorizationToken": BASE64_STANDARD.encode(format!("AWS:public-{number}")), "expiresAt": seconds}}))
    }

    async fn password(credentials: &EcrPublicCredentials, rejected: Option<&Credentials>) -> Option<String> {
        let found = credentials.credentials_for(&testing::repository(HOST), rejected).await.unwrap();
        found.map(|found| found.password.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn both_hosts_share_one_token_and_other_hosts_get_none() {
        let (credentials, count) = credentials(token);
        for (host, expected) in [
            ("public.ecr.aws", Some("AWS")),
            ("ecr-public.aws.com", Some("AWS")),
            ("PUBLIC.ecr.aws:443", Some("AWS")),
            ("public.ecr.aws.evil.example", None),
            ("public.ecr.aws:8443", None),
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com", None),
        ] {
            let found = credentials.credentials_for(&testing::repository(host), None).await.unwrap();
            assert_eq!(found.map(|found| found.username).as_deref(), expected, "{host}");
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn after_a_denial_reads_anonymously_without_another_call() {
        let (credentials, count) =
            credentials(|_| testing::failure("AccessDeniedException", "not authorized"));
        assert_eq!(password(&credentials, None).await, None);
        assert_eq!(password(&credentials, None).await, None);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    fn unavailable() -> http::Response<String> {
        http::Response::builder().status(503).body(String::new()).unwrap()
    }

    #[tokio::test]
    async fn after_a_transient_failure_the_next_request_calls_again() {
        let failures: [fn() -> http::Response<String>; 4] = [
            unavailable,
            || testing::failure("ServerException", "busy"),
            || testing::success(&json!({"authorizationData": {}})),
            || http::Response::builder().status(500).body("<html>".into()).unwrap(),
        ];
        for failure in failures {
            let failed = Arc::new(std::sync::atomic::AtomicBool::new(true));
            let (fails, counter) = (failed.clone(), failure);
            let (credentials, _) =
                credentials(
                    move |number| if fails.load(Ordering::SeqCst) { counter() } else { token(number) },
                );
            assert_eq!(password(&credentials, None).await, None);
            failed.store(false, Ordering::SeqCst);
            assert!(password(&credentials, None).await.is_some());
        }
    }

    #[tokio::test]
    async fn an_unreachable_service_is_called_rarely() {
        let (credentials, count) = credentials(|_| unavailable());
        for _ in 0..8 {
            assert_eq!(password(&credentials, None).await, None);
        }
        // Three calls with two attempts each.
        assert_eq!(count.load(Ordering::SeqCst), 6);
        let before = Instant::now().checked_sub(FAILURE_PAUSE).unwrap();
        *credentials.state.lock().await = TokenState::Failed(MAX_FAILURES, before);
        assert_eq!(password(&credentials, None).await, None);
        assert_eq!(count.load(Ordering::SeqCst), 8);
    }

    #[tokio::test]
    async fn rejected_credentials_are_not_sent_again() {
        let (credentials, count) = credentials(token);
        let found = credentials.credentials_for(&testing::repository(HOST), None).await.unwrap().unwrap();
        assert_eq!(password(&credentials, Some(&found)).await, None);
        assert_eq!(password(&credentials, None).await, None);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn principals_of_other_partitions_cause_no_call() {
        let http = infallible_client_fn(|_| -> http::Response<String> { panic!("unexpected call") });
        let config = testing::config().into_builder().http_client(http).region(Region::new("cn-north-1"));
        let credentials = EcrPublicCredentials::new(AwsClients::new(config.build(), testing::FAST_RETRIES));
        assert_eq!(password(&credentials, None).await, None);
    }
}
