//! The AWS Query protocol: a form as request, and XML as response
//! (<https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>).

use crate::body::{empty, full, read};
use crate::fault::Effect;
use crate::ids;
use crate::service::{Request, Response, queries, response};

use super::{ApiError, signature};

/// Names of an AWS API with the Query protocol.
pub(crate) struct QueryApi {
    /// Name in signatures, IAM actions and log operations.
    pub(crate) service: &'static str,
    /// XML namespace of responses.
    pub(crate) namespace: &'static str,
    /// Actions without a signature.
    pub(crate) unsigned: &'static [&'static str],
}

/// Parameters of a call.
pub(crate) struct Form(String);

impl Form {
    /// Returns a parameter that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        queries(&self.0, name).into_iter().next().filter(|value| !value.is_empty())
    }

    /// Returns the elements of a list, which the protocol numbers from 1: `NAME.member.1`.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let numbered =
            |number: usize| queries(&self.0, &format!("{name}.member.{number}")).into_iter().next();
        (1..).map_while(numbered).collect()
    }

    /// Returns the first parameter, or element of a list, with one of these names.
    pub(crate) fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        let given = |name: &&&str| self.get(name).is_some() || !self.list(name).is_empty();
        names.iter().find(given).copied()
    }

    /// Returns a parameter, or the error for a missing one.
    pub(crate) fn required(&self, name: &str, member: &str) -> Result<String, ApiError> {
        self.get(name).ok_or_else(|| constraint("null", member, "Member must not be null"))
    }
}

/// Returns the error for a parameter that violates a constraint. `value` includes its quotes.
pub(crate) fn constraint(value: &str, member: &str, rule: &str) -> ApiError {
    let message = format!(
        "1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {rule}"
    );
    ApiError::new("ValidationError", message)
}

impl QueryApi {
    /// Parses a call, executes it, and formats the result. `execute` receives the action and returns the content
    /// of the result element.
    pub(crate) async fn respond(
        &self,
        region: &str,
        mut request: Request,
        execute: impl FnOnce(&str, &Form) -> Result<String, ApiError>,
    ) -> Response {
        let body = std::mem::replace(&mut request.body, empty());
        let form = match read(body, 64 * 1024).await {
            Ok(bytes) => Form(String::from_utf8_lossy(&bytes).into_owned()),
            Err(_) => return self.error_response(&ApiError::new("MalformedInput", "The body broke off")),
        };
        let action = form.get("Action").unwrap_or_default();
        request.log_handle.update(|entry| {
            entry.operation = format!("{}:{action}", self.service);
            entry.action = Some(entry.operation.clone());
        });
        if let Some(Effect::ApiError { error, message }) = &request.effect {
            return self.format_error(error, message);
        }
        let signed = match self.unsigned.contains(&action.as_str()) {
            true => Ok(()),
            false => signature::check(&request, region, self.service).map_err(signature_error),
        };
        match signed.and_then(|()| execute(&action, &form)) {
            Ok(result) => {
                let xml = format!(
                    "<{action}Response xmlns=\"{}\"><{action}Result>{result}</{action}Result>\
                     <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
                    self.namespace,
                    ids::uuid(),
                );
                response(200, &[("content-type", "text/xml")], full(xml))
            }
            Err(error) => self.error_response(&error),
        }
    }

    /// Returns the error for an action that the emulator does not implement.
    pub(crate) fn unknown(&self, action: &str) -> ApiError {
        ApiError::new("InvalidAction", format!("aws-emulator: {}:{action} is not implemented", self.service))
    }

    /// Returns the error for a part of an action that the emulator does not implement.
    pub(crate) fn unknown_parameter(&self, action: &str, parameter: &str) -> ApiError {
        self.unknown(&format!("{action} with {parameter}"))
    }

    fn error_response(&self, error: &ApiError) -> Response {
        let name = if error.name == "AccessDeniedException" { "AccessDenied" } else { error.name };
        self.format_error(name, &error.message)
    }

    fn format_error(&self, name: &str, message: &str) -> Response {
        let status = match name {
            "AccessDenied"
            | "ExpiredToken"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken" => 403,
            "NoSuchEntity" => 404,
            "ServiceUnavailable" => 503,
            "InternalFailure" => 500,
            _ => 400,
        };
        let xml = format!(
            "<ErrorResponse xmlns=\"{}\"><Error><Type>Sender</Type><Code>{name}</Code>{}</Error>\
             <RequestId>{}</RequestId></ErrorResponse>",
            self.namespace,
            element("Message", message),
            ids::uuid()
        );
        response(status, &[("content-type", "text/xml")], full(xml))
    }
}

/// APIs with the Query protocol have other names for the errors of signatures
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>).
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

/// Returns an XML element with escaped text.
pub(crate) fn element(name: &str, text: &str) -> String {
    // A parser would read an unescaped carriage return as a line feed (https://www.w3.org/TR/xml/#sec-line-ends).
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;");
    format!("<{name}>{text}</{name}>")
}

/// Returns a list element. The protocol calls each of its elements `member`.
pub(crate) fn list(name: &str, members: impl IntoIterator<Item = String>) -> String {
    let members: String = members.into_iter().map(|member| format!("<member>{member}</member>")).collect();
    format!("<{name}>{members}</{name}>")
}
