//! IAM: `SimulatePrincipalPolicy`
//! (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>).
//!
//! The emulator has no policies. The only role is that of all programs. It is allowed every action, except those
//! that a test denied in one of the services. The response therefore has no matched statements, and each denial is
//! an implicit one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};

use crate::service::{Operation, Request, Response, Service};

use super::query::{Form, QueryApi, element, list};
use super::{ApiError, Caller, Denials, Deny, caller};

static API: QueryApi =
    QueryApi { service: "iam", namespace: "https://iam.amazonaws.com/doc/2010-05-08/", unsigned: &[] };

/// IAM's endpoint of the partition `aws`. Requests to it are signed for the Region
/// (<https://docs.aws.amazon.com/general/latest/gr/iam-service.html>).
const HOST: &str = "iam.amazonaws.com";
const REGION: &str = "us-east-1";

/// Parameters of `SimulatePrincipalPolicy` that are not emulated.
const NOT_EMULATED: [&str; 7] = [
    "PolicyInputList",
    "PermissionsBoundaryPolicyInputList",
    "ResourcePolicy",
    "ResourceOwner",
    "CallerArn",
    "ContextEntries",
    "ResourceHandlingOption",
];

/// Default number of results in a page.
const PAGE: usize = 100;

/// IAM of the caller's account.
pub struct Iam {
    account: String,
    /// The services that evaluate the permissions.
    services: Vec<(&'static str, Arc<dyn Deny>)>,
    denials: Mutex<Denials>,
}

impl Iam {
    /// Creates IAM. `services` are prefixes of actions, and the services that evaluate these actions.
    pub(crate) fn new(account: &str, services: Vec<(&'static str, Arc<dyn Deny>)>) -> Self {
        Self { account: account.to_owned(), services, denials: Mutex::default() }
    }

    /// Denies actions such as `iam:SimulatePrincipalPolicy` on resources. Both are patterns with `*`.
    pub fn deny(&self, action: &str, resource: &str) {
        self.denials().add(action, resource);
    }

    /// Returns the ARN of the role of all programs.
    pub fn role_arn(&self) -> String {
        caller::role_arn(&self.account, REGION)
    }

    fn denials(&self) -> MutexGuard<'_, Denials> {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn simulate(&self, caller: &Caller, form: &Form) -> Result<String, ApiError> {
        let action = "SimulatePrincipalPolicy";
        let principal = form.required("PolicySourceArn", "policySourceArn")?;
        self.denials().check(caller, "iam:SimulatePrincipalPolicy", &principal)?;
        if let Some(parameter) = form.first_of(&NOT_EMULATED) {
            return Err(API.unknown_parameter(action, parameter));
        }
        self.check_principal(&principal)?;
        let (actions, resources) = (form.list("ActionNames"), form.list("ResourceArns"));
        if actions.is_empty() {
            form.required("ActionNames", "actionNames")?;
        }
        if resources.len() > 1 && resources.iter().any(|resource| resource == "*") {
            let message = "You can not include both * and individual resources in the resources list.";
            return Err(ApiError::new("InvalidInput", message));
        }
        let start = form.get("Marker").map_or(Ok(0), |marker| {
            marker.parse::<usize>().map_err(|_| ApiError::new("InvalidInput", "Invalid Marker."))
        })?;
        let limit = form.get("MaxItems").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE);
        let page = actions.iter().skip(start).take(limit);
        let results: Result<Vec<_>, _> = page.map(|action| self.evaluate(action, &resources)).collect();
        let end = start + limit;
        let is_truncated = end < actions.len();
        let marker = if is_truncated { element("Marker", &end.to_string()) } else { String::new() };
        Ok(element("IsTruncated", &is_truncated.to_string()) + &list("EvaluationResults", results?) + &marker)
    }

    /// Checks that the principal is the role.
    fn check_principal(&self, arn: &str) -> Result<(), ApiError> {
        if arn == self.role_arn() {
            return Ok(());
        }
        let Some(name) = arn.split_once(":role/").map(|(_, name)| name) else {
            let message = format!("Invalid Entity Arn: {arn} does not clearly define entity type and name.");
            return Err(ApiError::new("InvalidInput", message));
        };
        Err(ApiError::new("NoSuchEntity", format!("The role with name {name} cannot be found.")))
    }

    /// Returns the result for one action. Its decision is the most restrictive one of all resources
    /// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html>).
    fn evaluate(&self, action: &str, resources: &[String]) -> Result<String, ApiError> {
        let prefix = action.split_once(':').map_or(action, |(prefix, _)| prefix);
        let evaluates = |(service, _): &&(&str, Arc<dyn Deny>)| *service == prefix;
        let (_, service) = self.services.iter().find(evaluates).ok_or_else(|| {
            API.unknown(&format!("SimulatePrincipalPolicy for actions of the service {prefix}"))
        })?;
        let decision = |is_denied: bool| if is_denied { "implicitDeny" } else { "allowed" };
        let on_all = || vec!["*".to_owned()];
        let all = if resources.is_empty() { on_all() } else { resources.to_vec() };
        let any_denied = all.iter().any(|resource| service.denies(action, resource));
        let details = resources.iter().filter(|resource| *resource != "*").map(|resource| {
            element("EvalResourceName", resource)
                + &element("EvalResourceDecision", decision(service.denies(action, resource)))
        });
        Ok([
            element("EvalActionName", action),
            element("EvalResourceName", "*"),
            element("EvalDecision", decision(any_denied)),
            list("MatchedStatements", []),
            list("MissingContextValues", []),
            list("ResourceSpecificResults", details),
        ]
        .concat())
    }
}

impl Service for Iam {
    fn serves(&self, host: &str) -> bool {
        host == HOST
    }

    /// The action is in the body. Until it is read, the operation is the same for all.
    fn operation(&self, _: &str, _: &Method, _: &Uri, _: &HeaderMap) -> Operation {
        Operation::new("iam", "iam:call")
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let caller = Caller::of(&request.headers, &self.account, REGION);
            let execute = |action: &str, form: &Form| match action {
                "SimulatePrincipalPolicy" => self.simulate(&caller, form),
                _ => Err(API.unknown(action)),
            };
            API.respond(REGION, request, execute).await
        })
    }
}
