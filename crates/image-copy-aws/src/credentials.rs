//! Credentials for the registry API of private ECR.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use image_copy::oci;
use image_copy::registry::{Credentials, CredentialsProvider, Error};

use crate::clients::AwsClients;
use crate::ecr_registry_host::EcrRegistryHost;
use crate::token::AuthorizationToken;

const ACTION: &str = "ecr:GetAuthorizationToken";

/// Credentials of the current AWS principal for hosts of private ECR, and none for other hosts.
///
/// A token is valid for registries of all accounts, but must be requested in the Region of the host. One task
/// at a time fetches a Region's token, and the others use it.
pub struct EcrCredentials {
    clients: AwsClients,
    by_region: Mutex<HashMap<String, Arc<CachedToken>>>,
}

type CachedToken = tokio::sync::Mutex<Option<AuthorizationToken>>;

impl EcrCredentials {
    /// Creates credentials that are fetched through `clients`.
    #[must_use]
    pub fn new(clients: AwsClients) -> Self {
        Self { clients, by_region: Mutex::default() }
    }

    async fn token_for(&self, region: &str, rejected: Option<&Credentials>) -> Result<Credentials, Error> {
        let cached = {
            let mut cache = self.by_region.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cache.entry(region.to_owned()).or_default())
        };
        // The lock is held during the request, so that other tasks wait instead of sending one too.
        let mut cached = cached.lock().await;
        if let Some(token) = cached.as_ref()
            && token.is_usable(rejected)
        {
            return Ok(token.credentials.clone());
        }
        let token = self.fetch(region).await?;
        Ok(cached.insert(token).credentials.clone())
    }

    async fn fetch(&self, region: &str) -> Result<AuthorizationToken, Error> {
        let client = self.clients.ecr_client(region, None);
        let response = client.send(ACTION, || client.sdk.get_authorization_token().send()).await?;
        let data = response.authorization_data().first();
        let token =
            data.and_then(|data| AuthorizationToken::parse(data.authorization_token()?, data.expires_at()));
        let token = token.ok_or(Error::Protocol("the authorization token of ECR cannot be decoded"))?;
        tracing::debug!(region, "got an ECR authorization token");
        Ok(token)
    }
}

impl CredentialsProvider for EcrCredentials {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        Box::pin(async move {
            let Some(host) = EcrRegistryHost::parse(repository.registry().as_str()) else { return Ok(None) };
            self.token_for(&host.region, rejected).await.map(Some)
        })
    }

    fn needs_no_challenge(&self, repository: &oci::Repository) -> bool {
        EcrRegistryHost::parse(repository.registry().as_str()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, SystemTime};

    use aws_smithy_http_client::test_util::infallible_client_fn;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::testing;
    use crate::token::RENEW_BEFORE;

    const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    /// Returns credentials with tokens that are numbered from 1, and valid for `life`.
    fn credentials(life: Duration) -> (EcrCredentials, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let http = infallible_client_fn(move |request| {
            assert_eq!(request.uri().host(), Some("api.ecr.eu-west-1.amazonaws.com"));
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            let expires = SystemTime::now() + life;
            let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            let token = BASE64_STANDARD.encode(format!("AWS:token-{number}"));
            let body = format!(
                r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":{seconds},"proxyEndpoint":"https://elsewhere.example"}}]}}"#
            );
            http::Response::builder().status(200).body(body).unwrap()
        });
        (EcrCredentials::new(testing::clients_over(http)), count)
    }

    async fn fetch(credentials: &EcrCredentials, rejected: Option<&Credentials>) -> Credentials {
        credentials.credentials_for(&testing::repository(HOST), rejected).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn concurrent_requests_share_one_token() {
        let (credentials, count) = credentials(Duration::from_secs(12 * 3600));
        let found = futures_util::future::join_all((0..8).map(|_| fetch(&credentials, None))).await;
        assert!(found.iter().all(|found| found.password.expose_secret() == "token-1"));
        assert_eq!(found[0].username, "AWS");
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_token_that_expires_soon_is_renewed() {
        let (credentials, _) = credentials(RENEW_BEFORE - Duration::from_secs(1));
        fetch(&credentials, None).await;
        assert_eq!(fetch(&credentials, None).await.password.expose_secret(), "token-2");
    }

    #[tokio::test]
    async fn a_rejected_token_is_renewed_once_for_all_tasks() {
        let (credentials, count) = credentials(Duration::from_secs(12 * 3600));
        let first = fetch(&credentials, None).await;
        let renewed = fetch(&credentials, Some(&first)).await;
        assert_eq!(renewed.password.expose_secret(), "token-2");
        // A task with the old token gets the current one.
        let late = fetch(&credentials, Some(&first)).await;
        assert_eq!(late.password.expose_secret(), "token-2");
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn other_hosts_get_no_credentials_and_cause_no_call() {
        let (credentials, count) = credentials(Duration::from_secs(3600));
        for host in ["registry-1.docker.io", "public.ecr.aws", "localhost:5000"] {
            assert!(
                credentials.credentials_for(&testing::repository(host), None).await.unwrap().is_none(),
                "{host}"
            );
        }
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_denied_token_names_the_permission() {
        let http =
            infallible_client_fn(|_| testing::failure("AccessDeniedException", "User is not authorized"));
        let credentials = EcrCredentials::new(testing::clients_over(http));
        let error = credentials.credentials_for(&testing::repository(HOST), None).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "ecr:GetAuthorizationToken returned AccessDeniedException \"User is not authorized\""
        );
    }
}
