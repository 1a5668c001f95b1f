//! Authorization: responds to a registry's challenge, and keeps the tokens.
//!
//! Challenges are learned from the registry's own base URL only. A challenge of a redirect target is used
//! for that one request, without credentials.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::challenge::Challenge;
use super::secrets::Secrets;
use super::token::{Token, TokenRequest, basic};
use super::{Credentials, Error, Login, LoginSent};
use crate::http::{self, Origin};
use crate::oci;

/// The receiver of a request, and the rights that the request needs.
pub(super) struct Party<'a> {
    /// Scheme, host and port of the receiver. Tokens for another one are never sent there.
    pub(super) receiver: String,
    /// Scopes of the token. Empty: the scopes in the challenge.
    pub(super) scopes: Vec<String>,
    /// The registry itself. `None` for a redirect target, which gets no credentials.
    pub(super) own: Option<Own<'a>>,
    /// Kind of the registry in the reference.
    pub(super) origin: Origin,
}

/// A registry at its own base URL.
pub(super) struct Own<'a> {
    /// The repository.
    pub(super) repository: &'a oci::Repository,
    /// Credentials for the repository.
    pub(super) credentials: &'a dyn Credentials,
    /// The address of its `/v2/`, which has a challenge if anything needs one.
    pub(super) root: Url,
}

impl Own<'_> {
    async fn login(&self, refused: Option<&Login>) -> Result<Option<Login>, Error> {
        self.credentials.login(self.repository, refused).await
    }

    /// Returns true if one of the scopes is about this repository.
    fn is_named_in(&self, scopes: &[String]) -> bool {
        let path = self.repository.path();
        scopes.iter().any(|scope| {
            let name = scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':'));
            name.is_some_and(|(name, _)| name == path)
        })
    }
}

/// A header that authorizes a request, and its origin.
#[derive(Clone, Default)]
pub(super) struct Authorization {
    header: Option<HeaderValue>,
    /// The login that the header was obtained with.
    login: Option<Login>,
    /// The challenge that it responds to, and the scopes of the token.
    challenge: Option<Challenge>,
    scopes: Vec<String>,
    /// True if the token was fetched for this request.
    is_fresh: bool,
}

impl Authorization {
    /// Adds the header, if there is one.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        match &self.header {
            Some(value) => headers.insert(AUTHORIZATION, value.clone()),
            None => headers.remove(AUTHORIZATION),
        };
    }

    pub(super) fn login_sent(&self) -> LoginSent {
        let is_token = |header: &HeaderValue| header.as_bytes().starts_with(b"Bearer ");
        match (&self.login, &self.header) {
            (None, _) => LoginSent::No,
            (Some(_), Some(header)) if is_token(header) => LoginSent::Exchanged,
            (Some(_), _) => LoginSent::Yes,
        }
    }

    /// Adds what was sent with it.
    pub(super) fn add_to(&self, secrets: &mut Secrets) {
        self.header.iter().for_each(|header| secrets.add_header(header));
        self.login.iter().for_each(|login| secrets.add_login(login));
    }
}

/// Keeps the challenges and tokens of one source of credentials.
#[derive(Default)]
pub(super) struct Authorizer {
    /// The last challenge of each receiver.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// Challenges of `/v2/`, requested after a refusal without a challenge.
    roots: Mutex<HashMap<String, Arc<OnceCell<Option<Challenge>>>>>,
    /// Scopes that replace ours because the receiver or its token service refused ours.
    replaced: Mutex<HashMap<(String, Vec<String>), Vec<String>>>,
    tokens: Mutex<Vec<(TokenKey, Arc<tokio::sync::Mutex<Option<Token>>>)>>,
}

/// A token is used for this alone.
#[derive(Clone, PartialEq)]
struct TokenKey {
    receiver: String,
    realm: String,
    service: Option<String>,
    scopes: Vec<String>,
    login: Option<Login>,
}

/// How requests for a challenge or a token are sent.
#[derive(Clone, Copy)]
pub(super) struct Sending<'a> {
    pub(super) http: &'a http::Client,
    pub(super) deadline: Option<Instant>,
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
            None if own.credentials.needs_no_challenge(own.repository) => {
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
        answer: &http::Answer,
        sent: &Authorization,
        party: &Party<'_>,
        sending: Sending<'_>,
    ) -> Result<Option<Authorization>, Error> {
        let status = answer.status.as_u16();
        if !matches!(status, 400 | 401 | 403 | 404) {
            return Ok(None);
        }
        let stated = if matches!(status, 401 | 403) { Challenge::of(&answer.headers) } else { None };
        if let (Some(challenge), Some(_)) = (&stated, &party.own) {
            lock(&self.challenges).insert(party.receiver.clone(), challenge.clone());
        }
        let known = stated.or_else(|| self.remembered(party)).or_else(|| sent.challenge.clone());
        let challenge = match known {
            Some(challenge) => challenge,
            None => match self.challenge_of_root(sent, party, sending, status).await? {
                Some(challenge) => challenge,
                None => return Ok(None),
            },
        };
        let Some(scopes) = self.scopes_after(answer, sent, party, &challenge).await? else { return Ok(None) };
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
        answer: &http::Answer,
        sent: &Authorization,
        party: &Party<'_>,
        challenge: &Challenge,
    ) -> Result<Option<Vec<String>>, Error> {
        let own_scopes = self.scopes(party, challenge);
        if sent.header.is_none() {
            return Ok((answer.status != 400).then_some(own_scopes));
        }
        if !matches!(answer.status.as_u16(), 400 | 401 | 403) {
            return Ok(None);
        }
        let is_refused = matches!(answer.status.as_u16(), 401 | 403);
        if is_refused && sent.is_fresh && !is_same(challenge.scopes(), &sent.scopes) {
            let scopes = challenge.scopes().to_vec();
            self.replace(party, scopes.clone());
            return Ok(Some(scopes));
        }
        let is_other = answer.status == 401 && sent.challenge.as_ref() != Some(challenge);
        if sent.is_fresh && !is_other {
            // Docker Hub gives a token without rights for unknown credentials.
            let has_other_login = match (&party.own, &sent.login) {
                (Some(own), Some(refused)) if answer.status == 401 => renewed(own, refused).await?.is_some(),
                _ => false,
            };
            return Ok(has_other_login.then_some(own_scopes));
        }
        Ok((is_other || may_be_expired(answer)).then_some(own_scopes))
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
    ) -> Result<Option<Challenge>, Error> {
        let Some(own) = &party.own else { return Ok(None) };
        if sent.header.is_some() || status == 400 || own.login(None).await?.is_none() {
            return Ok(None);
        }
        let cell = Arc::clone(lock(&self.roots).entry(party.receiver.clone()).or_default());
        let challenge = cell.get_or_init(|| async {
            let mut request = super::Repository::request(Method::GET, own.root.clone(), ROOT_BODY_BYTES);
            request.origin = party.origin;
            let answer = sending.http.send(&request, sending.deadline).await.ok()?;
            let challenge = if answer.status == 401 { Challenge::of(&answer.headers) } else { None }?;
            lock(&self.challenges).insert(party.receiver.clone(), challenge.clone());
            Some(challenge)
        });
        Ok(challenge.await.clone())
    }

    /// Returns the scopes to request first.
    fn scopes(&self, party: &Party<'_>, challenge: &Challenge) -> Vec<String> {
        // Scopes that name no repository are a constant of the registry, such as ECR Public's `aws`.
        if party.scopes.is_empty() || is_constant(challenge.scopes()) {
            return challenge.scopes().to_vec();
        }
        let key = (party.receiver.clone(), party.scopes.clone());
        lock(&self.replaced).get(&key).unwrap_or(&party.scopes).clone()
    }

    fn replace(&self, party: &Party<'_>, scopes: Vec<String>) {
        if party.own.is_some() {
            lock(&self.replaced).insert((party.receiver.clone(), party.scopes.clone()), scopes);
        }
    }

    async fn meet(
        &self,
        challenge: &Challenge,
        scopes: Vec<String>,
        party: &Party<'_>,
        sending: Sending<'_>,
        refused: Option<&Authorization>,
    ) -> Result<Authorization, Error> {
        match challenge {
            Challenge::Basic => {
                let login = match &party.own {
                    Some(own) => own.login(refused.and_then(|sent| sent.login.as_ref())).await?,
                    None => None,
                };
                let header = login.as_ref().map(basic).transpose()?;
                let challenge = Some(Challenge::Basic);
                Ok(Authorization { header, login, challenge, ..Authorization::default() })
            }
            Challenge::Bearer { realm, service, .. } => {
                let request = TokenRequest { realm, service: service.as_deref(), origin: party.origin };
                let choices = choices(scopes, challenge.scopes());
                let found = self.token(&request, choices, party, sending, refused).await?;
                Ok(Authorization { challenge: Some(challenge.clone()), ..found })
            }
        }
    }

    /// Returns a token for the first of the scopes that the token service grants. Concurrent callers wait
    /// for one request.
    async fn token(
        &self,
        request: &TokenRequest<'_>,
        choices: Vec<Vec<String>>,
        party: &Party<'_>,
        sending: Sending<'_>,
        refused: Option<&Authorization>,
    ) -> Result<Authorization, Error> {
        let mut login = match &party.own {
            Some(own) => own.login(None).await?,
            None => None,
        };
        let mut is_renewed = false;
        let mut position = 0;
        loop {
            let scopes = &choices[position];
            let slot = self.slot(TokenKey {
                receiver: party.receiver.clone(),
                realm: request.realm.to_owned(),
                service: request.service.map(str::to_owned),
                scopes: scopes.clone(),
                login: login.clone(),
            });
            let mut kept = slot.lock().await;
            let granted = |token: &Token, is_fresh| Authorization {
                header: Some(token.header.clone()),
                login: login.clone(),
                challenge: None,
                scopes: scopes.clone(),
                is_fresh,
            };
            if let Some(token) = kept.as_ref() {
                let was_refused = refused.is_some_and(|sent| sent.header.as_ref() == Some(&token.header));
                if !was_refused && Instant::now() < token.renew_at {
                    return Ok(granted(token, false));
                }
            }
            let refusal = match request.fetch(scopes, login.as_ref(), sending).await {
                Ok(token) => {
                    if position > 0 {
                        self.replace(party, scopes.clone());
                    }
                    return Ok(granted(kept.insert(token), true));
                }
                Err(Error::Refused(refusal)) if matches!(refusal.status, 400 | 401 | 403 | 404) => refusal,
                Err(error) => return Err(error),
            };
            if let (Some(own), Some(known)) = (&party.own, &login)
                && !is_renewed
                && matches!(refusal.status, 401 | 403)
                && let Some(next) = renewed(own, known).await?
            {
                (login, is_renewed) = (next, true);
                continue;
            }
            // A wrong password sent again can lock the account
            // (https://github.com/docker/hub-feedback/issues/2201). A service that returns 401 for several
            // scopes can mean one of them.
            let is_wrong_login = refusal.status == 401 && login.is_some() && scopes.len() < 2;
            if is_wrong_login || position + 1 == choices.len() {
                return Err(Error::Refused(refusal));
            }
            position += 1;
        }
    }

    fn slot(&self, key: TokenKey) -> Arc<tokio::sync::Mutex<Option<Token>>> {
        let mut tokens = lock(&self.tokens);
        if let Some((_, slot)) = tokens.iter().find(|(known, _)| *known == key) {
            return Arc::clone(slot);
        }
        let slot = Arc::default();
        tokens.push((key, Arc::clone(&slot)));
        slot
    }
}

/// Maximum size of the response of `/v2/`, in bytes.
const ROOT_BODY_BYTES: u64 = 1 << 20;

/// Returns the scopes to request one after the other: those wanted, the first of them alone (without the
/// source of a mount), and those of the challenge.
fn choices(wanted: Vec<String>, stated: &[String]) -> Vec<Vec<String>> {
    let mut choices: Vec<Vec<String>> = Vec::new();
    let first = wanted.get(..1).unwrap_or_default().to_vec();
    for scopes in [wanted, first, stated.to_vec()] {
        let is_known = choices.iter().any(|known| normalized(known) == normalized(&scopes));
        if !is_known && (choices.is_empty() || !scopes.is_empty()) {
            choices.push(scopes);
        }
    }
    choices
}

/// Returns true if `stated` grants nothing that `sent` does not.
fn is_same(stated: &[String], sent: &[String]) -> bool {
    stated.is_empty() || normalized(stated) == normalized(sent)
}

/// Returns scopes in a comparable form: the order of scopes and of actions does not matter.
fn normalized(scopes: &[String]) -> HashSet<(String, Vec<String>)> {
    let parts = |scope: &String| {
        let (resource, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
        let mut actions: Vec<String> = actions.split(',').map(str::to_owned).collect();
        actions.sort_unstable();
        (resource.to_owned(), actions)
    };
    scopes.iter().map(parts).collect()
}

fn is_constant(scopes: &[String]) -> bool {
    !scopes.is_empty() && !scopes.iter().any(|scope| scope.starts_with("repository:"))
}

/// Returns the login that replaces a refused one, which can be none. `None` if it is still the same.
async fn renewed(own: &Own<'_>, refused: &Login) -> Result<Option<Option<Login>>, Error> {
    let next = own.login(Some(refused)).await?;
    Ok((next.as_ref() != Some(refused)).then_some(next))
}

/// Returns true if the token can have expired: always with status 401; with 400 and 403 if the response
/// says so or has no text.
fn may_be_expired(answer: &http::Answer) -> bool {
    let text = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    answer.status == 401
        || text.trim().is_empty()
        || (text.contains("token") && (text.contains("expired") || text.contains("invalid")))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
