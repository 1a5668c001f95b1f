//! Authorization: responds to a registry's challenge, and keeps the tokens.
//!
//! Challenges are learned from the registry's own base URL only. A challenge of a redirect target is used
//! for that one request, without credentials.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use tokio::sync::OnceCell;

use super::Error;
use super::authorization::{Authorization, Party, Sending};
use super::challenge::Challenge;
use super::scopes::{Scopes, choices, is_constant, is_same};
use super::session::SMALL_BODY_BYTES;
use super::token::{TokenRequest, basic};
use super::tokens::Tokens;
use crate::http;

/// Keeps the challenges and tokens of one source of credentials.
#[derive(Default)]
pub(super) struct Authorizer {
    /// The last challenge of each receiver.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// Challenges of `/v2/`, requested after a refusal without a challenge.
    roots: Mutex<HashMap<String, Arc<OnceCell<Option<Challenge>>>>>,
    /// Scopes that replace ours because the receiver or its token service refused ours.
    replaced: Mutex<HashMap<(String, Scopes), Scopes>>,
    tokens: Tokens,
}

impl Authorizer {
    /// Returns the authorization that is known before the first response.
    pub(super) async fn before(
        &self,
        party: &Party<'_>,
        sending: Sending<'_>,
    ) -> Result<Authorization, Error> {
        let Some(own) = &party.own else { return Ok(Authorization::default()) };
        match self.remembered(party) {
            Some(challenge) => {
                let scopes = self.scopes(party, &challenge);
                self.meet(&challenge, scopes, party, sending, None).await
            }
            None if own.credentials_provider.needs_no_challenge(own.repository) => {
                self.meet(&Challenge::Basic, Vec::new(), party, sending, None).await
            }
            None => Ok(Authorization::default()),
        }
    }

    /// Returns the authorization for another attempt after `answer` refused `sent`, or `None` if the
    /// refusal is final.
    ///
    /// Registries report an expired token as 401 with a challenge, 401 without (dhi.io), 400 (ECR Public)
    /// or 403 (ECR). A token that was not fetched for this request is therefore replaced once.
    pub(super) async fn after(
        &self,
        response: &http::Response,
        sent: &Authorization,
        party: &Party<'_>,
        sending: Sending<'_>,
    ) -> Result<Option<Authorization>, Error> {
        let status = response.status.as_u16();
        if !matches!(status, 400 | 401 | 403 | 404) {
            return Ok(None);
        }
        let stated = if matches!(status, 401 | 403) { Challenge::of(&response.headers) } else { None };
        if let (Some(challenge), Some(_)) = (&stated, &party.own) {
            lock(&self.challenges).insert(party.receiver.clone(), challenge.clone());
        }
        let known = stated.or_else(|| self.remembered(party)).or_else(|| sent.challenge.clone());
        let challenge = match known {
            Some(challenge) => challenge,
            None => match self.challenge_of_root(sent, party, sending, status).await {
                Some(challenge) => challenge,
                None => return Ok(None),
            },
        };
        let Some(scopes) = self.scopes_after(response, sent, party, &challenge).await? else {
            return Ok(None);
        };
        let is_new = |next: &Authorization| next.header.is_some() && next.header != sent.header;
        let next = self.meet(&challenge, scopes, party, sending, Some(sent)).await?;
        if is_new(&next) || is_same(challenge.scopes(), &next.scopes) {
            return Ok(is_new(&next).then_some(next));
        }
        // The token service returned the same token again, which the registry refused.
        self.replace(party, challenge.scopes().to_vec());
        let next = self.meet(&challenge, challenge.scopes().to_vec(), party, sending, Some(sent)).await?;
        Ok(is_new(&next).then_some(next))
    }

    /// Returns the scopes for another attempt, or `None` if another attempt cannot succeed.
    async fn scopes_after(
        &self,
        response: &http::Response,
        sent: &Authorization,
        party: &Party<'_>,
        challenge: &Challenge,
    ) -> Result<Option<Scopes>, Error> {
        let own_scopes = self.scopes(party, challenge);
        if sent.header.is_none() {
            return Ok((response.status != 400).then_some(own_scopes));
        }
        if !matches!(response.status.as_u16(), 400 | 401 | 403) {
            return Ok(None);
        }
        let is_refused = matches!(response.status.as_u16(), 401 | 403);
        if is_refused && sent.is_fresh && !is_same(challenge.scopes(), &sent.scopes) {
            let scopes = challenge.scopes().to_vec();
            self.replace(party, scopes.clone());
            return Ok(Some(scopes));
        }
        let is_other = response.status == 401 && sent.challenge.as_ref() != Some(challenge);
        if sent.is_fresh && !is_other {
            // Docker Hub grants a token without rights for unknown credentials.
            let has_other_credentials = match (&party.own, &sent.credentials) {
                (Some(own), Some(refused)) if response.status == 401 => own.renewed(refused).await?.is_some(),
                _ => false,
            };
            return Ok(has_other_credentials.then_some(own_scopes));
        }
        Ok((is_other || may_be_expired(response)).then_some(own_scopes))
    }

    /// Returns the last challenge of the receiver. Its scopes are kept if they fit this repository.
    fn remembered(&self, party: &Party<'_>) -> Option<Challenge> {
        let own = party.own.as_ref()?;
        let challenge = lock(&self.challenges).get(&party.receiver).cloned()?;
        let fits = is_constant(challenge.scopes()) || own.is_named_in(challenge.scopes());
        Some(if fits { challenge } else { challenge.without_scopes() })
    }

    /// Requests a challenge from `/v2/`. Some registries return 401, 403 or 404 without a challenge for a
    /// private repository to a client without credentials.
    async fn challenge_of_root(
        &self,
        sent: &Authorization,
        party: &Party<'_>,
        sending: Sending<'_>,
        status: u16,
    ) -> Option<Challenge> {
        let own = party.own.as_ref()?;
        // A login that cannot be looked up is an error only if the registry wants one.
        if sent.header.is_some() || status == 400 || matches!(own.credentials(None).await, Ok(None)) {
            return None;
        }
        let cell = Arc::clone(lock(&self.roots).entry(party.receiver.clone()).or_default());
        let found = cell.get_or_try_init(|| async {
            let mut request = super::Repository::request(Method::GET, own.root.clone(), SMALL_BODY_BYTES);
            request.network = party.network;
            let response = sending.http.send(&request, sending.deadline).await.ok();
            // A transient failure is not kept.
            let response = response.filter(|response| !http::is_transient(response.status)).ok_or(())?;
            let challenge = if response.status == 401 { Challenge::of(&response.headers) } else { None };
            if let Some(challenge) = &challenge {
                lock(&self.challenges).insert(party.receiver.clone(), challenge.clone());
            }
            Ok::<_, ()>(challenge)
        });
        found.await.ok().cloned().flatten()
    }

    /// Returns the scopes to request first.
    fn scopes(&self, party: &Party<'_>, challenge: &Challenge) -> Scopes {
        // Scopes that name no repository are a constant of the registry, such as ECR Public's `aws`.
        if party.scopes.is_empty() || is_constant(challenge.scopes()) {
            return challenge.scopes().to_vec();
        }
        let key = (party.receiver.clone(), party.scopes.clone());
        lock(&self.replaced).get(&key).unwrap_or(&party.scopes).clone()
    }

    fn replace(&self, party: &Party<'_>, scopes: Scopes) {
        if party.own.is_some() {
            lock(&self.replaced).insert((party.receiver.clone(), party.scopes.clone()), scopes);
        }
    }

    async fn meet(
        &self,
        challenge: &Challenge,
        scopes: Scopes,
        party: &Party<'_>,
        sending: Sending<'_>,
        refused: Option<&Authorization>,
    ) -> Result<Authorization, Error> {
        match challenge {
            Challenge::Basic => {
                let credentials = match &party.own {
                    Some(own) => own.credentials(refused.and_then(|sent| sent.credentials.as_ref())).await?,
                    None => None,
                };
                let header = credentials.as_ref().map(basic).transpose()?;
                let challenge = Some(Challenge::Basic);
                Ok(Authorization { header, credentials, challenge, ..Authorization::default() })
            }
            Challenge::Bearer { realm, service, .. } => {
                let request = TokenRequest { realm, service: service.as_deref(), network: party.network };
                let choices = choices(scopes, challenge.scopes());
                let found = self.tokens.first_granted(&request, &choices, party, sending, refused).await?;
                if found.is_fresh && choices.first() != Some(&found.scopes) {
                    self.replace(party, found.scopes.clone());
                }
                Ok(Authorization { challenge: Some(challenge.clone()), ..found })
            }
        }
    }
}

/// Returns true if the token can have expired: always with status 401; with 400 and 403 if the response
/// says so or has no text.
fn may_be_expired(response: &http::Response) -> bool {
    let text = String::from_utf8_lossy(&response.body).to_ascii_lowercase();
    response.status == 401
        || text.trim().is_empty()
        || (text.contains("token") && (text.contains("expired") || text.contains("invalid")))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
