//! Responds to challenges, and caches challenges and tokens.
//!
//! Only challenges from the registry's own base URL are cached. A challenge of a redirect target is used for
//! one request, without credentials.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use tokio::sync::OnceCell;

use super::Error;
use super::authorization::{Authorization, HttpContext, RequestTarget};
use super::challenge::Challenge;
use super::requests::SMALL_BODY_BYTES;
use super::scopes::{Scopes, have_no_repository, is_empty_or_equal, scope_candidates};
use super::token::{TokenRequest, basic_header};
use super::token_cache::TokenCache;
use crate::http;

/// Caches the challenges and tokens of one credentials provider.
#[derive(Default)]
pub(super) struct Authorizer {
    /// The last challenge of each origin.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// Challenges of `/v2/` of each origin, requested after an error response without a challenge.
    api_root_challenges: Mutex<HashMap<String, Arc<OnceCell<Option<Challenge>>>>>,
    /// Scopes that replace the usual ones, which the registry or its token service rejected.
    replaced_scopes: Mutex<HashMap<(String, Scopes), Scopes>>,
    token_cache: TokenCache,
}

impl Authorizer {
    /// Returns the authorization of the first attempt.
    pub(super) async fn initial_authorization(
        &self,
        target: &RequestTarget<'_>,
        context: HttpContext<'_>,
    ) -> Result<Authorization, Error> {
        let Some(registry) = &target.registry else { return Ok(Authorization::default()) };
        match self.known_challenge(target) {
            Some(challenge) => {
                let scopes = self.scopes(target, &challenge);
                self.respond_to(&challenge, scopes, target, context, None).await
            }
            None if registry.credentials_provider.needs_no_challenge(registry.repository) => {
                self.respond_to(&Challenge::Basic, Vec::new(), target, context, None).await
            }
            None => Ok(Authorization::default()),
        }
    }

    /// Returns the authorization for another attempt after the response rejected `sent`. Returns `None` if
    /// another attempt cannot succeed.
    ///
    /// Registries report an expired token as 401 with a challenge, 401 without one (dhi.io), 400 (ECR Public)
    /// or 403 (ECR). Therefore, a token from the cache is replaced once.
    pub(super) async fn renewed_authorization(
        &self,
        response: &http::Response,
        sent: &Authorization,
        target: &RequestTarget<'_>,
        context: HttpContext<'_>,
    ) -> Result<Option<Authorization>, Error> {
        let status = response.status.as_u16();
        if !matches!(status, 400 | 401 | 403 | 404) {
            return Ok(None);
        }
        let received =
            if matches!(status, 401 | 403) { Challenge::from_headers(&response.headers) } else { None };
        if let (Some(challenge), Some(_)) = (&received, &target.registry) {
            lock(&self.challenges).insert(target.origin.clone(), challenge.clone());
        }
        let known = received.or_else(|| self.known_challenge(target)).or_else(|| sent.challenge.clone());
        let challenge = match known {
            Some(challenge) => challenge,
            None => match self.request_challenge(sent, target, context, status).await {
                Some(challenge) => challenge,
                None => return Ok(None),
            },
        };
        let Some(scopes) = self.scopes_for_retry(response, sent, target, &challenge).await? else {
            return Ok(None);
        };
        let is_new = |next: &Authorization| next.header.is_some() && next.header != sent.header;
        let next = self.respond_to(&challenge, scopes, target, context, Some(sent)).await?;
        if is_new(&next) || is_empty_or_equal(challenge.scopes(), &next.scopes) {
            return Ok(is_new(&next).then_some(next));
        }
        // The token service returned the rejected token again.
        self.replace_scopes(target, challenge.scopes().to_vec());
        let next =
            self.respond_to(&challenge, challenge.scopes().to_vec(), target, context, Some(sent)).await?;
        Ok(is_new(&next).then_some(next))
    }

    /// Returns the scopes for another attempt, or `None` if another attempt cannot succeed.
    async fn scopes_for_retry(
        &self,
        response: &http::Response,
        sent: &Authorization,
        target: &RequestTarget<'_>,
        challenge: &Challenge,
    ) -> Result<Option<Scopes>, Error> {
        let usual_scopes = self.scopes(target, challenge);
        if sent.header.is_none() {
            return Ok((response.status != 400).then_some(usual_scopes));
        }
        if !matches!(response.status.as_u16(), 400 | 401 | 403) {
            return Ok(None);
        }
        let is_rejected = matches!(response.status.as_u16(), 401 | 403);
        if is_rejected && sent.is_fresh && !is_empty_or_equal(challenge.scopes(), &sent.scopes) {
            let scopes = challenge.scopes().to_vec();
            self.replace_scopes(target, scopes.clone());
            return Ok(Some(scopes));
        }
        let is_other = response.status == 401 && sent.challenge.as_ref() != Some(challenge);
        if sent.is_fresh && !is_other {
            // For unknown credentials, Docker Hub returns a token without access.
            let has_other_credentials = match (&target.registry, &sent.credentials) {
                (Some(registry), Some(rejected)) if response.status == 401 => {
                    registry.renewed_credentials(rejected).await?.is_some()
                }
                _ => false,
            };
            return Ok(has_other_credentials.then_some(usual_scopes));
        }
        Ok((is_other || can_be_expired(response)).then_some(usual_scopes))
    }

    /// Returns the last challenge of the registry. Removes its scopes if they are for another repository.
    fn known_challenge(&self, target: &RequestTarget<'_>) -> Option<Challenge> {
        let registry = target.registry.as_ref()?;
        let challenge = lock(&self.challenges).get(&target.origin).cloned()?;
        let is_usable = have_no_repository(challenge.scopes()) || registry.is_in_scopes(challenge.scopes());
        Some(if is_usable { challenge } else { challenge.without_scopes() })
    }

    /// Requests a challenge from `/v2/`. For a private repository, some registries return 401, 403 or 404
    /// without a challenge to a client without credentials.
    async fn request_challenge(
        &self,
        sent: &Authorization,
        target: &RequestTarget<'_>,
        context: HttpContext<'_>,
        status: u16,
    ) -> Option<Challenge> {
        let registry = target.registry.as_ref()?;
        // Unavailable credentials are an error only if the registry requires credentials.
        if sent.header.is_some() || status == 400 || matches!(registry.credentials(None).await, Ok(None)) {
            return None;
        }
        let cell = Arc::clone(lock(&self.api_root_challenges).entry(target.origin.clone()).or_default());
        let found = cell.get_or_try_init(|| async {
            let mut request =
                super::Repository::request(Method::GET, registry.api_root.clone(), SMALL_BODY_BYTES);
            request.network = target.network;
            let response = context.http.send(&request, context.deadline).await.ok();
            // A transient error is not cached.
            let response = response.filter(|response| !http::is_transient(response.status)).ok_or(())?;
            let challenge =
                if response.status == 401 { Challenge::from_headers(&response.headers) } else { None };
            if let Some(challenge) = &challenge {
                lock(&self.challenges).insert(target.origin.clone(), challenge.clone());
            }
            Ok::<_, ()>(challenge)
        });
        found.await.ok().cloned().flatten()
    }

    /// Returns the scopes to request first.
    fn scopes(&self, target: &RequestTarget<'_>, challenge: &Challenge) -> Scopes {
        // Scopes without a repository are a constant of the registry, such as ECR Public's `aws`.
        if target.scopes.is_empty() || have_no_repository(challenge.scopes()) {
            return challenge.scopes().to_vec();
        }
        let key = (target.origin.clone(), target.scopes.clone());
        lock(&self.replaced_scopes).get(&key).unwrap_or(&target.scopes).clone()
    }

    fn replace_scopes(&self, target: &RequestTarget<'_>, scopes: Scopes) {
        if target.registry.is_some() {
            lock(&self.replaced_scopes).insert((target.origin.clone(), target.scopes.clone()), scopes);
        }
    }

    async fn respond_to(
        &self,
        challenge: &Challenge,
        scopes: Scopes,
        target: &RequestTarget<'_>,
        context: HttpContext<'_>,
        rejected: Option<&Authorization>,
    ) -> Result<Authorization, Error> {
        match challenge {
            Challenge::Basic => {
                let credentials = match &target.registry {
                    Some(registry) => {
                        registry.credentials(rejected.and_then(|sent| sent.credentials.as_ref())).await?
                    }
                    None => None,
                };
                let header = credentials.as_ref().map(basic_header).transpose()?;
                let challenge = Some(Challenge::Basic);
                Ok(Authorization { header, credentials, challenge, ..Authorization::default() })
            }
            Challenge::Bearer { realm, service, .. } => {
                let request = TokenRequest { realm, service: service.as_deref(), network: target.network };
                let candidates = scope_candidates(scopes, challenge.scopes());
                let found =
                    self.token_cache.first_granted(&request, &candidates, target, context, rejected).await?;
                if found.is_fresh && candidates.first() != Some(&found.scopes) {
                    self.replace_scopes(target, found.scopes.clone());
                }
                Ok(Authorization { challenge: Some(challenge.clone()), ..found })
            }
        }
    }
}

/// Returns true if the token can be expired: with status 401 always, with 400 and 403 if the message mentions
/// it or is empty.
fn can_be_expired(response: &http::Response) -> bool {
    let text = String::from_utf8_lossy(&response.body).to_ascii_lowercase();
    response.status == 401
        || text.trim().is_empty()
        || (text.contains("token") && (text.contains("expired") || text.contains("invalid")))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
