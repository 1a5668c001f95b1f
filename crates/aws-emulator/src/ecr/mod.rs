//! ECR of all accounts, Regions and partitions, with API and registry.

mod api;
mod describe;
mod error;
mod handle;
mod hosts;
mod images;
mod pull_through;
mod referrers;
mod registry;
mod repositories;
mod store;
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

use crate::blob::GeneratedBlobs;
use crate::distribution::Route;
use crate::service::{Operation, Request, Response, Service};
use hosts::Place;
use store::State;

/// ECR of all accounts and Regions.
pub struct Ecr {
    /// Account of the caller.
    account: String,
    generated_blobs: Arc<GeneratedBlobs>,
    token_lasts: Mutex<Duration>,
    state: Mutex<State>,
}

impl Ecr {
    pub(crate) fn new(account: &str, generated_blobs: Arc<GeneratedBlobs>) -> Self {
        Self {
            account: account.to_owned(),
            generated_blobs,
            token_lasts: Mutex::new(api::TOKEN_LASTS),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for Ecr {
    fn serves(&self, host: &str) -> bool {
        Place::parse(host).is_some()
    }

    fn operation(&self, host: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Operation {
        match Place::parse(host) {
            Some(Place::Control { .. }) => hosts::API.operation(headers),
            Some(Place::Layers { .. }) => Operation::new("s3", "blob.content"),
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
            match Place::parse(&request.host) {
                Some(Place::Control { region }) => api::serve(self, &region, request).await,
                Some(Place::Layers { region }) => registry::content(self, &region, &request),
                Some(Place::Data { account, region }) => {
                    registry::serve(self, &account, &region, request).await
                }
                None => crate::service::reset_connection(),
            }
        })
    }
}
