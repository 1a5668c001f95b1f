//! Fields of an event that its response needs. They are read from raw JSON first, so that an event with other
//! errors still gets a response.

use std::fmt;
use std::time::SystemTime;

use image_copy_aws::Owner;
use reqwest::Url;
use serde_json::Value;

use super::issue_time::issue_time;
use super::resource::{CREATE_FAILED, Resource};

/// Fields of an event that its response needs. Missing texts are empty.
pub(crate) struct Envelope {
    pub(crate) response_url: ResponseUrl,
    pub(crate) stack_id: String,
    pub(crate) request_id: String,
    pub(crate) logical_resource_id: String,
    pub(crate) request_type: String,
    /// Current ID of the resource, or [`CREATE_FAILED`].
    pub(crate) physical_resource_id: String,
    /// `ServiceTimeout` in seconds, if CloudFormation accepts its value.
    pub(crate) service_timeout: Option<u64>,
}

/// The payload needs no response.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the function was called with {0}")]
pub(crate) struct UnsupportedPayload(pub(crate) &'static str);

impl Envelope {
    /// Returns the time at which CloudFormation issued the event, if the URL contains it; see
    /// [`issue_time`](super::issue_time).
    pub(crate) fn issue_time(&self) -> Option<SystemTime> {
        issue_time(self.response_url.expose())
    }

    /// Returns the resource of the event.
    pub(crate) fn resource(&self) -> Resource {
        Resource {
            owner: Owner::of_resource(&self.stack_id, &self.logical_resource_id),
            logical_id: self.logical_resource_id.clone(),
            physical_id: self.physical_resource_id.clone(),
            is_exclusive: false,
        }
    }

    /// Reads the fields, without validating the rest of the event.
    pub(crate) fn read(payload: &Value) -> Result<Self, UnsupportedPayload> {
        let text = |name: &str| payload.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(url) = payload.get("ResponseURL") else {
            return Err(UnsupportedPayload(
                "something that is not an event of a CloudFormation custom resource",
            ));
        };
        let url = url.as_str().and_then(|url| Url::parse(url).ok());
        let url = url.ok_or(UnsupportedPayload("a CloudFormation event whose ResponseURL is not a URL"))?;
        let id = text("PhysicalResourceId");
        let timeout = payload.pointer("/ResourceProperties/ServiceTimeout");
        let timeout =
            timeout.and_then(|value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()));
        Ok(Self {
            response_url: ResponseUrl(url),
            stack_id: text("StackId"),
            request_id: text("RequestId"),
            logical_resource_id: text("LogicalResourceId"),
            request_type: text("RequestType"),
            physical_resource_id: if id.is_empty() { CREATE_FAILED.into() } else { id },
            service_timeout: timeout.filter(|seconds| (1..=3600).contains(seconds)),
        })
    }
}

/// URL for the response. It cannot be printed, because it authorizes anyone to respond.
pub(crate) struct ResponseUrl(Url);

impl ResponseUrl {
    /// Returns the URL, only for the request.
    pub(crate) fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseUrl(..)")
    }
}
