//! Logins for private ECR's registry API.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use image_copy::oci;
use image_copy::registry::{Credentials, CredentialsProvider, Error};

use crate::clients::AwsClients;
use crate::ecr_registry_host::EcrRegistryHost;
use crate::token::AuthorizationToken;

const ACTION: &str = "ecr:GetAuthorizationToken";

/// Gives the function's own login to hosts of private ECR, and none to any other host.
///
/// A token stands for the calling principal, whatever the account of the registry, but is asked for
/// in the Region of the host. Each Region's token is fetched by one task at a time, and kept.
pub struct EcrCredentials {
    clients: AwsClients,
    by_region: Mutex<HashMap<String, Arc<CachedToken>>>,
}

type CachedToken = tokio::sync::Mutex<Option<AuthorizationToken>>;

impl EcrCredentials {
    /// Logins by way of these clients.
    #[must_use]
    pub fn new(clients: AwsClients) -> Self {
        Self { clients, by_region: Mutex::default() }
    }

    async fn login_in(&self, region: &str, refused: Option<&Credentials>) -> Result<Credentials, Error> {
        let cached = {
            let mut cache = self.by_region.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cache.entry(region.to_owned()).or_default())
        };
        // Held while the token is fetched, so that the others wait for it rather than fetch too.
        let mut cached = cached.lock().await;
        if let Some(token) = cached.as_ref()
            && token.is_usable(refused)
        {
            return Ok(token.login.clone());
        }
        let token = self.fetch(region).await?;
        Ok(cached.insert(token).login.clone())
    }

    async fn fetch(&self, region: &str) -> Result<AuthorizationToken, Error> {
        let client = self.clients.ecr_client(region, None);
        let answer = client.send(ACTION, || client.sdk.get_authorization_token().send()).await?;
        let data = answer.authorization_data().first();
        let token =
            data.and_then(|data| AuthorizationToken::read(data.authorization_token()?, data.expires_at()));
        let token = token.ok_or(Error::Protocol("ECR's authorization token could not be read"))?;
        tracing::debug!(region, "got an ECR authorization token");
        Ok(token)
    }
}

impl CredentialsProvider for EcrCredentials {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        refused: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        Box::pin(async move {
            let Some(host) = EcrRegistryHost::parse(repository.registry().as_str()) else { return Ok(None) };
            self.login_in(&host.region, refused).await.map(Some)
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

    /// Tokens numbered from 1, each valid for `life` from now.
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
        (EcrCredentials::new(testing::clients(http)), count)
    }

    async fn login(credentials: &EcrCredentials, refused: Option<&Credentials>) -> Credentials {
        credentials.credentials_for(&testing::repository(HOST), refused).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn one_token_serves_all_who_ask_at_once() {
        let (credentials, count) = credentials(Duration::from_secs(12 * 3600));
        let logins = futures_util::future::join_all((0..8).map(|_| login(&credentials, None))).await;
        assert!(logins.iter().all(|login| login.password.expose_secret() == "token-1"));
        assert_eq!(logins[0].username, "AWS");
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_token_near_its_end_is_renewed() {
        let (credentials, _) = credentials(RENEW_BEFORE - Duration::from_secs(1));
        login(&credentials, None).await;
        assert_eq!(login(&credentials, None).await.password.expose_secret(), "token-2");
    }

    #[tokio::test]
    async fn a_refused_token_is_renewed_once_for_all() {
        let (credentials, count) = credentials(Duration::from_secs(12 * 3600));
        let first = login(&credentials, None).await;
        let renewed = login(&credentials, Some(&first)).await;
        assert_eq!(renewed.password.expose_secret(), "token-2");
        // Another task that still holds the old one gets what is there by now.
        let late = login(&credentials, Some(&first)).await;
        assert_eq!(late.password.expose_secret(), "token-2");
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn other_hosts_get_no_login_and_cost_no_call() {
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
            infallible_client_fn(|_| testing::refusal("AccessDeniedException", "User is not authorized"));
        let credentials = EcrCredentials::new(testing::clients(http));
        let error = credentials.credentials_for(&testing::repository(HOST), None).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "ecr:GetAuthorizationToken says AccessDeniedException \"User is not authorized\""
        );
    }
}
