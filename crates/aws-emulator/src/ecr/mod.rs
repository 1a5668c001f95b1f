//! ECR of all accounts, Regions and partitions, with API and registry.

mod api;
mod describe;
mod error;
mod handle;
mod hosts;
mod images;
mod lifecycle;
mod policies;
mod pull_through;
mod referrers;
mod registry;
mod repositories;
mod scans;
mod settings;
mod store;
mod templates;
mod throttle;
mod uploads;
mod validation;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};

pub use handle::Repository;
pub use pull_through::PullThroughSettings;
pub use store::{Mutability, PushEvent};

pub(crate) use hosts::repository_arn;

use crate::api::Deny;
use crate::blob::GeneratedBlobs;
use crate::distribution::Route;
use crate::service::{Operation, Request, Response, Service};
use hosts::Endpoint;
use store::State;

/// ECR of all accounts and Regions.
pub struct Ecr {
    /// Account of the caller.
    account: String,
    generated_blobs: Arc<GeneratedBlobs>,
    token_lifetime: Mutex<Duration>,
    state: Mutex<State>,
}

impl Ecr {
    pub(crate) fn new(account: &str, generated_blobs: Arc<GeneratedBlobs>) -> Self {
        Self {
            account: account.to_owned(),
            generated_blobs,
            token_lifetime: Mutex::new(api::TOKEN_LIFETIME),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deny for Ecr {
    fn denies(&self, action: &str, resource: &str) -> bool {
        self.lock().denials.contains(action, resource)
    }
}

impl Service for Ecr {
    fn serves(&self, host: &str) -> bool {
        Endpoint::parse(host).is_some()
    }

    fn operation(&self, host: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Operation {
        match Endpoint::parse(host) {
            Some(Endpoint::Api { .. }) => hosts::API.operation(headers),
            Some(Endpoint::Layers { .. }) => Operation::new("s3", "blob.content"),
            _ => {
                let route = Route::parse(uri.path());
                let actions = registry::actions(&route, method).iter();
                let actions: Vec<_> = actions.map(|action| format!("ecr:{action}")).collect();
                Operation {
                    service: "ecr",
                    name: route.operation(method).to_owned(),
                    repository: route.repository().map(ToOwned::to_owned),
                    action: Some(actions.join(" ")).filter(|actions| !actions.is_empty()),
                }
            }
        }
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            match Endpoint::parse(&request.host) {
                Some(Endpoint::Api { .. }) => api::serve(self, request).await,
                Some(Endpoint::Layers { region }) => registry::serve_layer(self, &region, &request),
                Some(Endpoint::Registry { account, region }) => {
                    registry::serve(self, &account, &region, request).await
                }
                None => crate::service::reset_connection(),
            }
        })
    }
}
