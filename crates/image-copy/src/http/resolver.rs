//! Name resolution without the addresses that no registry can have.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Origin, PlainHosts, all_forms, is_link_local, is_this_machine, without_final_dot};

/// Resolves names as the system does, and drops the addresses that no registry can have.
#[derive(Debug, Clone)]
pub(super) struct GuardedResolver {
    /// Names that may resolve to loopback addresses: the configured proxies and the hosts that are
    /// configured for unencrypted HTTP. `None` allows it for all names.
    loopback: Option<Arc<[String]>>,
}

impl GuardedResolver {
    /// Returns the resolver for requests of that origin. `proxies` are the hosts of configured proxies.
    pub(super) fn new(origin: Origin, plain: &PlainHosts, proxies: &[String]) -> Self {
        let names = plain.names().chain(proxies.iter().map(String::as_str)).map(without_final_dot);
        Self { loopback: (origin != Origin::Loopback).then(|| names.collect()) }
    }

    /// Returns the reason to drop an address of `name`.
    fn objection(&self, name: &str, address: IpAddr) -> Option<&'static str> {
        let forms = all_forms(address);
        if forms.iter().any(|ip| is_link_local(*ip)) {
            return Some("link-local");
        }
        let name = without_final_dot(name);
        let allows_loopback =
            is_this_machine(&name) || self.loopback.as_ref().is_none_or(|names| names.contains(&name));
        (!allows_loopback && forms.iter().any(|ip| ip.is_loopback())).then_some("loopback")
    }
}

/// Every address of a name was one that no registry can have.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to a {0} address")]
pub(super) struct ForbiddenName(pub(super) &'static str);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let mut objection = None;
            let mut allowed = Vec::new();
            for address in found {
                match resolver.objection(name.as_str(), address.ip()) {
                    None => allowed.push(address),
                    reason => objection = reason,
                }
            }
            match objection {
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
    fn names_resolve_to_loopback_only_if_the_user_named_such_a_host() {
        let plain = PlainHosts::new(&["registry.test:5000".to_owned()]);
        let public = GuardedResolver::new(Origin::Public, &plain, &["proxy.test".to_owned()]);
        let nearby = GuardedResolver::new(Origin::Loopback, &plain, &[]);
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
            assert_eq!(public.objection(name, address.parse().unwrap()), expected, "{name} {address}");
        }
        assert_eq!(nearby.objection("registry.example", "127.0.0.1".parse().unwrap()), None);
        assert!(nearby.objection("registry.example", "169.254.169.254".parse().unwrap()).is_some());
    }
}
