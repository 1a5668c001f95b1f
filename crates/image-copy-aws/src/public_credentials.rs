//! Logins for ECR Public, which serves the anonymous too, only slower
//! (<https://docs.aws.amazon.com/AmazonECR/latest/public/public-service-quotas.html>).

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

/// The one Region that gives logins
/// (<https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html>).
const REGION: &str = "us-east-1";
const ACTION: &str = "ecr-public:GetAuthorizationToken";
/// Time for the call: it goes far, and without it nothing is lost but speed.
const LONGEST_CALL: Duration = Duration::from_secs(6);

/// Transient failures in a row after which the service is left alone for a while. Each one can cost
/// [`LONGEST_CALL`].
const MOST_FAILURES: u32 = 3;
/// Time until the next attempt after that many failures.
const PAUSE: Duration = Duration::from_secs(300);

/// Gives ECR Public the function's own login where that can be had, and otherwise none.
///
/// A denial is remembered, and so is a refused login: ECR Public refuses with a stale login what it gives
/// to anybody
/// (<https://docs.aws.amazon.com/AmazonECR/latest/public/public-troubleshooting.html>).
pub struct EcrPublicCredentials {
    clients: AwsClients,
    state: Mutex<TokenState>,
}

enum TokenState {
    Unknown,
    /// Transient failures in a row, and the time of the last one.
    Failed(u32, Instant),
    Token(AuthorizationToken),
    Anonymous,
}

impl EcrPublicCredentials {
    /// Logins by way of these clients.
    #[must_use]
    pub fn new(clients: AwsClients) -> Self {
        // Only this partition's principals are known there.
        let region = clients.config().region().map(Region::as_ref);
        let is_known_there = region.is_none_or(|region| Partition::of_region(region) == Partition::Aws);
        let state = if is_known_there { TokenState::Unknown } else { TokenState::Anonymous };
        Self { clients, state: Mutex::new(state) }
    }

    /// Whether `host` is ECR Public's registry, plain or dual-stack.
    #[must_use]
    pub fn is_for(host: &str) -> bool {
        let host = host.strip_suffix(":443").unwrap_or(host);
        ["public.ecr.aws", "ecr-public.aws.com"].iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    async fn find(&self, refused: Option<&Credentials>) -> Option<Credentials> {
        // Held while the login is fetched, so that the others wait for it rather than fetch too.
        let mut state = self.state.lock().await;
        match &*state {
            TokenState::Anonymous => return None,
            TokenState::Token(token) if refused == Some(&token.login) => {
                tracing::info!("ECR Public refused our login and is read without one");
                *state = TokenState::Anonymous;
                return None;
            }
            TokenState::Token(token) if token.is_usable(refused) => return Some(token.login.clone()),
            TokenState::Failed(MOST_FAILURES.., last) if last.elapsed() < PAUSE => return None,
            TokenState::Token(_) | TokenState::Unknown | TokenState::Failed(..) => {}
        }
        match self.fetch().await {
            Ok(token) => {
                let login = token.login.clone();
                *state = TokenState::Token(token);
                Some(login)
            }
            Err(error) => {
                tracing::info!(reason = %error, "ECR Public is read without a login");
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
        let client = RetryingClient::new(sdk, host, Some(Instant::now() + LONGEST_CALL), retry_policy);
        let answer = client.send(ACTION, || client.sdk.get_authorization_token().send()).await?;
        let data = answer.authorization_data();
        let token =
            data.and_then(|data| AuthorizationToken::read(data.authorization_token()?, data.expires_at()));
        token.ok_or(Error::Protocol("ECR Public's authorization token could not be read"))
    }
}

impl CredentialsProvider for EcrPublicCredentials {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        refused: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        Box::pin(async move {
            Ok(if Self::is_for(repository.registry().as_str()) { self.find(refused).await } else { None })
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
        answer: impl Fn(usize) -> http::Response<String> + Send + Sync + 'static,
    ) -> (EcrPublicCredentials, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        let http = infallible_client_fn(move |request| {
            assert_eq!(request.uri().host(), Some("api.ecr-public.us-east-1.amazonaws.com"));
            answer(counter.fetch_add(1, Ordering::SeqCst))
        });
        (EcrPublicCredentials::new(testing::clients(http)), count)
    }

    fn token(number: usize) -> http::Response<String> {
        let expires = SystemTime::now() + Duration::from_secs(12 * 3600);
        let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        testing::answer(&json!({"authorizationData": {
            "authorizationToken": BASE64_STANDARD.encode(format!("AWS:public-{number}")), "expiresAt": seconds}}))
    }

    async fn password(credentials: &EcrPublicCredentials, refused: Option<&Credentials>) -> Option<String> {
        let login = credentials.credentials_for(&testing::repository(HOST), refused).await.unwrap();
        login.map(|login| login.password.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn one_login_serves_both_of_its_hosts_and_no_other() {
        let (credentials, count) = credentials(token);
        for (host, expected) in [
            ("public.ecr.aws", Some("AWS")),
            ("ecr-public.aws.com", Some("AWS")),
            ("PUBLIC.ecr.aws:443", Some("AWS")),
            ("public.ecr.aws.evil.example", None),
            ("public.ecr.aws:8443", None),
            ("123456789012.dkr.ecr.us-east-1.amazonaws.com", None),
        ] {
            let login = credentials.credentials_for(&testing::repository(host), None).await.unwrap();
            assert_eq!(login.map(|login| login.username).as_deref(), expected, "{host}");
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn who_may_not_sign_in_reads_without_a_login_and_asks_once() {
        let (credentials, count) =
            credentials(|_| testing::refusal("AccessDeniedException", "not authorized"));
        assert_eq!(password(&credentials, None).await, None);
        assert_eq!(password(&credentials, None).await, None);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    fn unavailable() -> http::Response<String> {
        http::Response::builder().status(503).body(String::new()).unwrap()
    }

    #[tokio::test]
    async fn after_a_transient_failure_the_next_request_asks_again() {
        let failures: [fn() -> http::Response<String>; 4] = [
            unavailable,
            || testing::refusal("ServerException", "busy"),
            || testing::answer(&json!({"authorizationData": {}})),
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
    async fn a_service_out_of_reach_costs_little() {
        let (credentials, count) = credentials(|_| unavailable());
        for _ in 0..8 {
            assert_eq!(password(&credentials, None).await, None);
        }
        // Two attempts each.
        assert_eq!(count.load(Ordering::SeqCst), 6);
        let before = Instant::now().checked_sub(PAUSE).unwrap();
        *credentials.state.lock().await = TokenState::Failed(MOST_FAILURES, before);
        assert_eq!(password(&credentials, None).await, None);
        assert_eq!(count.load(Ordering::SeqCst), 8);
    }

    #[tokio::test]
    async fn a_refused_login_is_not_shown_again() {
        let (credentials, count) = credentials(token);
        let login = credentials.credentials_for(&testing::repository(HOST), None).await.unwrap().unwrap();
        assert_eq!(password(&credentials, Some(&login)).await, None);
        assert_eq!(password(&credentials, None).await, None);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn principals_of_other_partitions_are_strangers_there() {
        let http = infallible_client_fn(|_| -> http::Response<String> { panic!("nobody is asked") });
        let config = testing::config().into_builder().http_client(http).region(Region::new("cn-north-1"));
        let credentials = EcrPublicCredentials::new(AwsClients::new(config.build(), testing::FAST_RETRIES));
        assert_eq!(password(&credentials, None).await, None);
    }
}
