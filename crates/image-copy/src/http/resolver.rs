//! Name resolution that drops link-local and loopback addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{
    Network, PlainHttpHosts, is_link_local, is_loopback_host, normalized_host, with_embedded_ipv4,
};

/// Resolves names with the system's resolver, and drops addresses that no registry can have.
#[derive(Debug, Clone)]
pub(super) struct GuardedResolver {
    /// Names that are allowed to resolve to loopback addresses: the configured proxies, and the hosts with
    /// unencrypted HTTP. `None` allows it for all names.
    loopback: Option<Arc<[String]>>,
}

impl GuardedResolver {
    /// Creates a resolver for a registry in `network`. `proxies` are the hosts of the configured proxies.
    pub(super) fn new(network: Network, plain_http: &PlainHttpHosts, proxies: &[String]) -> Self {
        let names = plain_http.names().chain(proxies.iter().map(String::as_str)).map(normalized_host);
        Self { loopback: (network != Network::Loopback).then(|| names.collect()) }
    }

    /// Returns the reason to drop an address of `name`.
    fn rejection_reason(&self, name: &str, address: IpAddr) -> Option<&'static str> {
        let addresses = with_embedded_ipv4(address);
        if addresses.iter().any(|ip| is_link_local(*ip)) {
            return Some("link-local");
        }
        let name = normalized_host(name);
        let allows_loopback =
            is_loopback_host(&name) || self.loopback.as_ref().is_none_or(|names| names.contains(&name));
        (!allows_loopback && addresses.iter().any(|ip| ip.is_loopback())).then_some("loopback")
    }
}

/// Error if all addresses of a name were dropped.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to a {0} address")]
pub(super) struct ForbiddenName(pub(super) &'static str);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let mut rejection = None;
            let mut allowed = Vec::new();
            for address in addresses {
                match resolver.rejection_reason(name.as_str(), address.ip()) {
                    None => allowed.push(address),
                    reason => rejection = reason,
                }
            }
            match rejection {
                Some(reason) if allowed.is_empty() => Err(io::Error::other(ForbiddenName(reason)).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_names_can_resolve_to_loopback() {
        let plain_http = PlainHttpHosts::new(&["registry.test:5000".to_owned()]);
        let public = GuardedResolver::new(Network::Public, &plain_http, &["proxy.test".to_owned()]);
        let loopback = GuardedResolver::new(Network::Loopback, &plain_http, &[]);
        for (name, address, expected) in [
            ("evil.example", "127.0.0.1", Some("loopback")),
            ("evil.example", "::1", Some("loopback")),
            ("evil.example", "::ffff:127.8.8.8", Some("loopback")),
            ("evil.example", "64:ff9b::127.0.0.1", Some("loopback")),
            ("evil.example", "169.254.169.254", Some("link-local")),
            ("evil.example", "64:ff9b::169.254.169.254", Some("link-local")),
            ("vpce.example", "10.0.0.5", None),
            ("localhost", "127.0.0.1", None),
            ("registry.test", "127.0.0.1", None),
            ("Proxy.test.", "127.0.0.1", None),
            ("localhost", "169.254.169.254", Some("link-local")),
        ] {
            assert_eq!(public.rejection_reason(name, address.parse().unwrap()), expected, "{name} {address}");
        }
        assert_eq!(loopback.rejection_reason("registry.example", "127.0.0.1".parse().unwrap()), None);
        assert!(loopback.rejection_reason("registry.example", "169.254.169.254".parse().unwrap()).is_some());
    }
}
