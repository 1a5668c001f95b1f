//! STS: `AssumeRole` and `AssumeRoleWithWebIdentity`, of every Region
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/>).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};

use crate::actions_seen;
use crate::api::query::{Form, QueryApi, constraint, element};
use crate::api::{ApiError, Caller, hosts};
use crate::ids;
use crate::service::{Operation, Request, Response, Service, reset_connection};
use crate::timestamp::{iso, since_epoch};

use super::keys::AccessKeys;
use super::token;

static API: QueryApi = QueryApi {
    service: "sts",
    namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    unsigned: &["AssumeRoleWithWebIdentity"],
};

/// Default lifetime of a role's credentials.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Roles and web identities.
pub struct Sts {
    /// Account of the caller.
    account: String,
    keys: Arc<AccessKeys>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// External ID in the trust policy of each role.
    roles: BTreeMap<String, Option<String>>,
    /// Tokens of the identity provider that the roles trust.
    web_identities: BTreeSet<String>,
}

impl Sts {
    pub(crate) fn new(account: &str, keys: Arc<AccessKeys>) -> Self {
        Self { account: account.to_owned(), keys, state: Mutex::default() }
    }

    /// Adds a role that the caller and the identity provider can assume.
    pub fn add_role(&self, arn: &str) {
        self.lock().roles.insert(arn.to_owned(), None);
    }

    /// Adds a role whose trust policy requires an external ID.
    pub fn add_role_with_external_id(&self, arn: &str, external_id: &str) {
        self.lock().roles.insert(arn.to_owned(), Some(external_id.to_owned()));
    }

    /// Returns a token of the trusted identity provider, which expires at this time.
    pub fn issue_web_identity(&self, expires_at: SystemTime) -> String {
        let token = token::issue(expires_at);
        self.lock().web_identities.insert(token.clone());
        token
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assume_role(&self, form: &Form, region: &str) -> Result<String, ApiError> {
        let (role, session) = (form.required("RoleArn", "roleArn")?, session_name(form)?);
        let caller = Caller::unnamed(&self.account, region).principal;
        match self.lock().roles.get(&role) {
            Some(None) => {}
            Some(wanted) if *wanted == form.get("ExternalId") => {}
            _ => return Err(not_authorized(&format!("User: {caller} is"), "sts:AssumeRole", Some(&role))),
        }
        Ok(self.credentials(&role, &session))
    }

    fn assume_role_with_web_identity(&self, form: &Form) -> Result<String, ApiError> {
        let (role, session) = (form.required("RoleArn", "roleArn")?, session_name(form)?);
        let token = form.required("WebIdentityToken", "webIdentityToken")?;
        let Some((subject, expiry)) = token::parse(&token) else {
            let message = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
            return Err(ApiError::new("InvalidIdentityToken", message));
        };
        let state = self.lock();
        if !state.web_identities.contains(&token) {
            let message = "Couldn't retrieve verification key from your identity provider,  please reference \
                           AssumeRoleWithWebIdentity documentation for requirements";
            return Err(ApiError::new("InvalidIdentityToken", message));
        }
        let now = since_epoch(SystemTime::now()).as_secs();
        if expiry <= now {
            let message = format!(
                "Token expired: current date/time {now} must be before the expiration date/time {expiry}"
            );
            return Err(ApiError::new("ExpiredTokenException", message));
        }
        if state.roles.get(&role) != Some(&None) {
            return Err(not_authorized("Not", "sts:AssumeRoleWithWebIdentity", None));
        }
        drop(state);
        Ok(self.credentials(&role, &session) + &element("SubjectFromWebIdentityToken", &subject))
    }

    fn credentials(&self, role: &str, session: &str) -> String {
        let credentials = self.keys.issue(LIFETIME);
        let assumed = role.replacen(":iam:", ":sts:", 1).replacen(":role/", ":assumed-role/", 1);
        format!(
            "<AssumedRoleUser><AssumedRoleId>AROA{}:{session}</AssumedRoleId><Arn>{assumed}/{session}</Arn>\
             </AssumedRoleUser><Credentials><AccessKeyId>{}</AccessKeyId>\
             <SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
             <Expiration>{}</Expiration></Credentials>",
            ids::capitals(17),
            credentials.access_key_id,
            credentials.secret_access_key,
            credentials.session_token,
            iso(credentials.expires_at),
        )
    }

    async fn respond(&self, region: &str, request: Request) -> Response {
        let program = actions_seen::program_name(&request.headers);
        let execute = |action: &str, form: &Form| {
            actions_seen::record(program.as_deref(), &format!("sts:{action}"));
            match action {
                "AssumeRole" => self.assume_role(form, region),
                "AssumeRoleWithWebIdentity" => self.assume_role_with_web_identity(form),
                _ => Err(API.unknown(action)),
            }
        };
        API.respond(region, request, execute).await
    }
}

fn session_name(form: &Form) -> Result<String, ApiError> {
    let name = form.required("RoleSessionName", "roleSessionName")?;
    let is_valid = (2..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
    if is_valid {
        return Ok(name);
    }
    let rule = "Member must satisfy regular expression pattern: [\\w+=,.@-]*";
    Err(constraint(&format!("'{name}'"), "roleSessionName", rule))
}

fn not_authorized(subject: &str, action: &str, resource: Option<&str>) -> ApiError {
    let resource = resource.map(|resource| format!(" on resource: {resource}")).unwrap_or_default();
    let negation = if subject == "Not" { "" } else { " not" };
    ApiError::new("AccessDenied", format!("{subject}{negation} authorized to perform: {action}{resource}"))
}

/// Returns the Region of a host of STS.
fn region(host: &str) -> Option<String> {
    let (name, region, suffix) = hosts::split_at_region(host)?;
    let partition = hosts::partition_of(&region);
    let is_known = match name.as_str() {
        "sts" => suffix == partition.suffix || suffix == partition.api_suffix,
        "sts-fips" => suffix == partition.suffix,
        _ => false,
    };
    is_known.then_some(region)
}

impl Service for Sts {
    fn serves(&self, host: &str) -> bool {
        region(host).is_some()
    }

    /// The action is in the body. Until it is read, the operation is the same for all.
    fn operation(&self, _: &str, _: &Method, _: &Uri, _: &HeaderMap) -> Operation {
        Operation::new("sts", "sts:call")
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let Some(region) = region(&request.host) else { return reset_connection() };
            self.respond(&region, request).await
        })
    }
}
