//! Authorization: meets a registry's challenge, and keeps the tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::challenge::Challenge;
use super::token::{Token, TokenRequest, basic};
use super::{Credentials, Error, Login, LoginSent};
use crate::http::{self, Origin};
use crate::oci;

/// Who is asked, for what, and as whom.
pub(super) struct Party<'a> {
    /// Host of the registry, with its port when it has one.
    pub(super) host: &'a str,
    /// What a token is to be for; `None` takes what the challenge says.
    pub(super) scope: Option<String>,
    /// The source of logins and the repository that the login is for; `None` sends no login.
    pub(super) credentials: Option<(&'a dyn Credentials, &'a oci::Repository)>,
    /// What the reference named, for judging the realm.
    pub(super) origin: Origin,
}

/// A header that authorizes a request, and where it came from.
#[derive(Clone)]
pub(super) struct Authorization {
    header: Option<HeaderValue>,
    /// The login behind it.
    login: Option<Login>,
    /// Whether it was made for this very request.
    fresh: bool,
}

impl Authorization {
    const NONE: Self = Self { header: None, login: None, fresh: false };

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
}

/// Knows each host's challenge, and keeps the tokens that one source of logins was given.
#[derive(Default)]
pub(super) struct Authorizer {
    challenges: Arc<Mutex<HashMap<String, Challenge>>>,
    tokens: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Token>>>>>,
}

impl Authorizer {
    /// The same challenges, and no token yet.
    pub(super) fn for_other_credentials(&self) -> Self {
        Self { challenges: self.challenges.clone(), tokens: Mutex::default() }
    }

    /// What to send along as far as is known before the first answer.
    pub(super) async fn before(
        &self,
        party: &Party<'_>,
        http: &http::Client,
        deadline: Option<Instant>,
    ) -> Result<Authorization, Error> {
        match self.challenge(party.host) {
            Some(challenge) => self.meet(&challenge, party, http, deadline, None).await,
            None => Ok(Authorization::NONE),
        }
    }

    /// What to send after `answer` refused `sent`, or `None` when that was final.
    ///
    /// Registries report an expired token as 401 with a challenge, 401 without (dhi.io), 400
    /// (ECR Public) or 403 (ECR), so a remembered challenge and any token not made for this request
    /// count as worth one more try.
    pub(super) async fn after(
        &self,
        answer: &http::Answer,
        sent: &Authorization,
        party: &Party<'_>,
        http: &http::Client,
        deadline: Option<Instant>,
    ) -> Result<Option<Authorization>, Error> {
        if !matches!(answer.status.as_u16(), 400 | 401 | 403) {
            return Ok(None);
        }
        if answer.status == 401
            && let Some(challenge) = Challenge::of(&answer.headers)
        {
            lock(&self.challenges).insert(party.host.to_owned(), challenge);
        }
        let Some(challenge) = self.challenge(party.host) else { return Ok(None) };
        let nothing_was_sent = sent.header.is_none() && answer.status == 401;
        // Docker Hub gives a token that opens nothing to whoever it does not know.
        let has_other_login = sent.fresh
            && answer.status == 401
            && matches!(&sent.login, Some(refused) if renewed(party, refused).await?.is_some());
        let is_final = (sent.fresh && !has_other_login) || sent.header.is_none() || !may_be_expired(answer);
        if !nothing_was_sent && is_final {
            return Ok(None);
        }
        let next = self.meet(&challenge, party, http, deadline, Some(sent)).await?;
        let is_new = next.header.is_some() && next.header != sent.header;
        Ok(is_new.then_some(next))
    }

    fn challenge(&self, host: &str) -> Option<Challenge> {
        lock(&self.challenges).get(host).cloned()
    }

    async fn meet(
        &self,
        challenge: &Challenge,
        party: &Party<'_>,
        http: &http::Client,
        deadline: Option<Instant>,
        refused: Option<&Authorization>,
    ) -> Result<Authorization, Error> {
        match challenge {
            Challenge::Basic => {
                let login = login(party, refused).await?;
                let header = login.as_ref().map(basic).transpose()?;
                Ok(Authorization { header, login, fresh: false })
            }
            Challenge::Bearer { realm, service, scope } => {
                // A scope that names no repository is a constant of that registry, as ECR Public's
                // `aws` is; one that does may name another action than is needed.
                let scope = match (scope, &party.scope) {
                    (Some(constant), Some(_)) if !constant.starts_with("repository:") => {
                        Some(constant.clone())
                    }
                    (_, Some(needed)) => Some(needed.clone()),
                    (named, None) => named.clone(),
                };
                let request = TokenRequest { realm, service: service.as_deref(), scope: scope.as_deref() };
                self.token(&request, party, http, deadline, refused).await
            }
        }
    }

    /// One token per host, scope and realm; whoever comes while it is fetched waits for it.
    async fn token(
        &self,
        request: &TokenRequest<'_>,
        party: &Party<'_>,
        http: &http::Client,
        deadline: Option<Instant>,
        refused: Option<&Authorization>,
    ) -> Result<Authorization, Error> {
        let key = format!(
            "{} {} {} {}",
            party.host,
            request.realm,
            request.scope.unwrap_or_default(),
            party.credentials.is_some()
        );
        let slot = lock(&self.tokens).entry(key).or_default().clone();
        let mut kept = slot.lock().await;
        if let Some(token) = kept.as_ref() {
            let was_refused = refused.is_some_and(|sent| sent.header.as_ref() == Some(&token.header));
            if !was_refused && Instant::now() < token.renew_at {
                let fresh = false;
                return Ok(Authorization {
                    header: Some(token.header.clone()),
                    login: token.login.clone(),
                    fresh,
                });
            }
        }
        let login = login(party, None).await?;
        let fetched = match (request.fetch(party.origin, login.clone(), http, deadline).await, login) {
            (Err(Error::Refused(refusal)), Some(login)) if matches!(refusal.status, 401 | 403) => {
                match renewed(party, &login).await? {
                    Some(login) => request.fetch(party.origin, login, http, deadline).await,
                    None => Err(Error::Refused(refusal)),
                }
            }
            (fetched, _) => fetched,
        };
        let token = fetched?;
        *kept = Some(token.clone());
        Ok(Authorization { header: Some(token.header), login: token.login, fresh: true })
    }
}

async fn login(party: &Party<'_>, refused: Option<&Authorization>) -> Result<Option<Login>, Error> {
    match party.credentials {
        Some((credentials, repository)) => {
            credentials.login(repository, refused.and_then(|sent| sent.login.as_ref())).await
        }
        None => Ok(None),
    }
}

/// What there is in place of a login that was refused, be it none; `None` when it is the same still:
/// a wrong password sent twice may lock the account
/// (<https://github.com/docker/hub-feedback/issues/2201>).
async fn renewed(party: &Party<'_>, refused: &Login) -> Result<Option<Option<Login>>, Error> {
    let Some((credentials, repository)) = party.credentials else { return Ok(None) };
    let next = credentials.login(repository, Some(refused)).await?;
    Ok((next.as_ref() != Some(refused)).then_some(next))
}

/// An answer of status 401 may be an expired token. 400 and 403 may be one when they say so, or
/// when they say nothing at all.
fn may_be_expired(answer: &http::Answer) -> bool {
    let text = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    answer.status == 401
        || text.trim().is_empty()
        || (text.contains("token") && (text.contains("expired") || text.contains("invalid")))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
