//! Cache of the tokens that were obtained from one credentials provider.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::authorization::{Authorization, HttpContext, RequestTarget};
use super::scopes::Scopes;
use super::token::{Token, TokenRequest};
use super::{Credentials, Error};

/// Maximum number of tokens. A registry can send another challenge with each response, so that the number of
/// repositories does not limit it.
const MAX_TOKENS: usize = 200;

/// The newest tokens.
#[derive(Default)]
pub(super) struct TokenCache(Mutex<VecDeque<(TokenKey, Arc<CachedToken>)>>);

/// Locked during the request for the token, so that concurrent callers wait for it.
type CachedToken = tokio::sync::Mutex<Option<Token>>;

/// All parameters of a token.
#[derive(Clone, PartialEq)]
struct TokenKey {
    origin: String,
    realm: String,
    service: Option<String>,
    scopes: Scopes,
    credentials: Option<Credentials>,
}

impl TokenCache {
    /// Returns a token for the first candidate that the token service grants. Concurrent callers share one
    /// request.
    pub(super) async fn first_granted(
        &self,
        request: &TokenRequest<'_>,
        candidates: &[Scopes],
        target: &RequestTarget<'_>,
        context: HttpContext<'_>,
        rejected: Option<&Authorization>,
    ) -> Result<Authorization, Error> {
        let mut credentials = match &target.registry {
            Some(registry) => registry.credentials(None).await?,
            None => None,
        };
        let mut is_renewed = false;
        let mut position = 0;
        loop {
            let scopes = &candidates[position];
            let entry = self.entry(TokenKey {
                origin: target.origin.clone(),
                realm: request.realm.to_owned(),
                service: request.service.map(str::to_owned),
                scopes: scopes.clone(),
                credentials: credentials.clone(),
            });
            let mut cached = entry.lock().await;
            let authorization = |token: &Token, is_fresh| Authorization {
                header: Some(token.header.clone()),
                credentials: credentials.clone(),
                challenge: None,
                scopes: scopes.clone(),
                is_fresh,
            };
            if let Some(token) = cached.as_ref() {
                let was_rejected = rejected.is_some_and(|sent| sent.header.as_ref() == Some(&token.header));
                if !was_rejected && Instant::now() < token.renew_at {
                    return Ok(authorization(token, false));
                }
            }
            let error_response = match request.fetch(scopes, credentials.as_ref(), context).await {
                Ok(token) => return Ok(authorization(cached.insert(token), true)),
                Err(Error::ErrorResponse(error_response))
                    if matches!(error_response.status, 400 | 401 | 403 | 404) =>
                {
                    error_response
                }
                Err(error) => return Err(error),
            };
            if let (Some(registry), Some(known)) = (&target.registry, &credentials)
                && !is_renewed
                && matches!(error_response.status, 401 | 403)
                && let Some(next) = registry.renewed_credentials(known).await?
            {
                (credentials, is_renewed) = (next, true);
                continue;
            }
            // Repeating a wrong password can lock the account
            // (https://github.com/docker/hub-feedback/issues/2201). With several scopes, status 401 can be
            // about one of them.
            let is_wrong_password = error_response.status == 401 && credentials.is_some() && scopes.len() < 2;
            if is_wrong_password || position + 1 == candidates.len() {
                return Err(Error::ErrorResponse(error_response));
            }
            position += 1;
        }
    }

    fn entry(&self, key: TokenKey) -> Arc<CachedToken> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, entry)) = tokens.iter().find(|(known, _)| *known == key) {
            return Arc::clone(entry);
        }
        let entry = Arc::default();
        tokens.truncate(MAX_TOKENS - 1);
        tokens.push_front((key, Arc::clone(&entry)));
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_the_number_of_tokens() {
        let tokens = TokenCache::default();
        let entry = |number: usize| {
            let (origin, realm) = ("https://r.example".into(), format!("https://t.example/{number}"));
            tokens.entry(TokenKey { origin, realm, service: None, scopes: Vec::new(), credentials: None })
        };
        for number in 0..1000 {
            entry(number);
        }
        assert_eq!(tokens.0.lock().unwrap().len(), MAX_TOKENS);
        assert!(Arc::ptr_eq(&entry(999), &entry(999)), "the newest is kept");
    }
}
