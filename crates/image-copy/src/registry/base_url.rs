//! Finds the base URLs of registries: with or without TLS.

use std::sync::PoisonError;

use reqwest::{Method, Url};
use tokio::time::Instant;

use super::requests::SMALL_BODY_BYTES;
use super::{Client, Error, Repository};
use crate::http::{self, Network};
use crate::oci::Registry;

impl Client {
    /// Returns the registry's base URL. It uses no TLS if the configuration lists the host. For a registry
    /// on this machine, one request tests TLS. All other registries need TLS, also at private addresses,
    /// because a private network can be wiretapped.
    pub(super) async fn base_url(&self, registry: &Registry) -> Result<Url, Error> {
        let cell = {
            let mut base_urls = self.connections.base_urls.lock().unwrap_or_else(PoisonError::into_inner);
            base_urls.entry(registry.as_str().to_owned()).or_default().clone()
        };
        let url = |scheme: &str| {
            let url = format!("{scheme}://{}/", registry.api_host()).parse::<Url>();
            url.map_err(|_| Error::Protocol("the host is not valid in a URL"))
        };
        let found = cell.get_or_try_init(async || {
            let (unencrypted, encrypted) = (url("http")?, url("https")?);
            if self.connections.http.allows_plain_http(&unencrypted) {
                return Ok(unencrypted);
            }
            let is_unencrypted =
                http::is_loopback_host(registry.host()) && !self.accepts_tls(registry, &encrypted).await;
            Ok(if is_unencrypted { unencrypted } else { encrypted })
        });
        found.await.cloned()
    }

    /// Returns true if the registry supports TLS. A rejected certificate also returns true, so that the error
    /// is reported.
    async fn accepts_tls(&self, registry: &Registry, base: &Url) -> bool {
        let Ok(root) = base.join("v2/") else { return false };
        let mut request = Repository::request(Method::GET, root, SMALL_BODY_BYTES);
        request.network = Network::of(registry.host());
        match self.connections.http.send_streaming(&request, Some(Instant::now())).await {
            Ok(_) => true,
            Err(error) => {
                matches!(error.kind, http::ErrorKind::Tls(reason) if reason.contains("certificate"))
            }
        }
    }
}
