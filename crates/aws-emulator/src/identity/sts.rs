//! STS: `AssumeRole` and `AssumeRoleWithWebIdentity`, of every Region
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/>).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};

use crate::actions_seen;
use crate::api::{ApiError, check_signature, hosts};
use crate::body::{full, read};
use crate::fault::Effect;
use crate::ids;
use crate::service::{Operation, Request, Response, Service, queries, reset_connection, response};
use crate::timestamp::{iso, since_epoch};

use super::keys::AccessKeys;
use super::token;

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

    fn assume_role(&self, form: &str, region: &str) -> Result<String, ApiError> {
        let input = Input(form);
        let (role, session) = (input.required("RoleArn", "roleArn")?, input.session_name()?);
        let caller = format!(
            "arn:{}:sts::{}:assumed-role/emulated-role/emulated-session",
            hosts::partition(region),
            self.account
        );
        let external_id = queries(form, "ExternalId").into_iter().next();
        match self.lock().roles.get(&role) {
            Some(None) => {}
            Some(wanted) if *wanted == external_id => {}
            _ => return Err(not_authorized(&format!("User: {caller} is"), "sts:AssumeRole", Some(&role))),
        }
        Ok(self.success("AssumeRole", &role, &session, ""))
    }

    fn assume_role_with_web_identity(&self, form: &str) -> Result<String, ApiError> {
        let input = Input(form);
        let (role, session) = (input.required("RoleArn", "roleArn")?, input.session_name()?);
        let token = input.required("WebIdentityToken", "webIdentityToken")?;
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
        let subject = format!("<SubjectFromWebIdentityToken>{subject}</SubjectFromWebIdentityToken>");
        Ok(self.success("AssumeRoleWithWebIdentity", &role, &session, &subject))
    }

    fn success(&self, action: &str, role: &str, session: &str, more: &str) -> String {
        let credentials = self.keys.issue(LIFETIME);
        let assumed = role.replacen(":iam:", ":sts:", 1).replacen(":role/", ":assumed-role/", 1);
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><AssumedRoleId>AROA{}:{session}</AssumedRoleId><Arn>{assumed}/{session}</Arn>\
             </AssumedRoleUser><Credentials><AccessKeyId>{}</AccessKeyId>\
             <SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
             <Expiration>{}</Expiration></Credentials>{more}</{action}Result>\
             <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
            ids::capitals(17),
            credentials.access_key_id,
            credentials.secret_access_key,
            credentials.session_token,
            iso(credentials.expires_at),
            ids::uuid(),
        )
    }

    async fn respond(&self, region: &str, mut request: Request) -> Response {
        let body = std::mem::replace(&mut request.body, crate::body::empty());
        let form = match read(body, 64 * 1024).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => return error_response(&ApiError::new("MalformedInput", "The body broke off")),
        };
        let action = queries(&form, "Action").into_iter().next().unwrap_or_default();
        request.log_handle.update(|entry| {
            entry.operation = format!("sts:{action}");
            entry.action = Some(format!("sts:{action}"));
        });
        if let Some(Effect::ApiError { error, message }) = &request.effect {
            return format_error(error, message);
        }
        let result = match action.as_str() {
            "AssumeRole" => check_signature(&request, region, "sts")
                .map_err(signature_error)
                .and_then(|()| self.assume_role(&form, region)),
            "AssumeRoleWithWebIdentity" => self.assume_role_with_web_identity(&form),
            _ => {
                Err(ApiError::new("InvalidAction", format!("aws-emulator: sts:{action} is not implemented")))
            }
        };
        if let Some(program) = actions_seen::program_name(&request.headers) {
            actions_seen::record(Some(&program), &format!("sts:{action}"));
        }
        match result {
            Ok(xml) => response(200, &[("content-type", "text/xml")], full(xml)),
            Err(error) => error_response(&error),
        }
    }
}

/// Parameters of a call.
struct Input<'a>(&'a str);

impl Input<'_> {
    fn required(&self, name: &str, member: &str) -> Result<String, ApiError> {
        let value = queries(self.0, name).into_iter().next().filter(|value| !value.is_empty());
        value.ok_or_else(|| {
            let message = format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy constraint: \
                 Member must not be null"
            );
            ApiError::new("ValidationError", message)
        })
    }

    fn session_name(&self) -> Result<String, ApiError> {
        let name = self.required("RoleSessionName", "roleSessionName")?;
        let is_valid = (2..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
        if is_valid {
            return Ok(name);
        }
        let message = format!(
            "1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        );
        Err(ApiError::new("ValidationError", message))
    }
}

fn not_authorized(subject: &str, action: &str, resource: Option<&str>) -> ApiError {
    let resource = resource.map(|resource| format!(" on resource: {resource}")).unwrap_or_default();
    let negation = if subject == "Not" { "" } else { " not" };
    ApiError::new("AccessDenied", format!("{subject}{negation} authorized to perform: {action}{resource}"))
}

/// STS has other names for the errors of signatures.
fn signature_error(error: ApiError) -> ApiError {
    let name = match error.name {
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "ExpiredTokenException" => "ExpiredToken",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        _ => "IncompleteSignature",
    };
    ApiError { name, ..error }
}

fn error_response(error: &ApiError) -> Response {
    format_error(error.name, &error.message)
}

fn format_error(name: &str, message: &str) -> Response {
    let status = match name {
        "AccessDenied"
        | "ExpiredToken"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken" => 403,
        "ServiceUnavailable" => 503,
        "InternalFailure" => 500,
        _ => 400,
    };
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    let xml = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{name}</Code><Message>{message}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
        ids::uuid()
    );
    response(status, &[("content-type", "text/xml")], full(xml))
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
