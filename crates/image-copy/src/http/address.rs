//! Where a registry may send us.
//!
//! A redirect, an upload location or a token realm is chosen by whoever runs the registry, and so by
//! whoever wrote the reference. None of them may lead to the metadata service of the machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What the reference itself named, which decides what its registry may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A registry on this machine or at a private address written out: its neighbours are allowed.
    Local,
    /// A registry that may be reached without TLS, by configuration.
    PlainAllowed,
    /// Any other.
    Public,
}

impl Origin {
    /// Judges the host that a reference named, without its port.
    #[must_use]
    pub(crate) fn of(host: &str, plain_allowed: bool) -> Self {
        match literal(host) {
            Some(ip) if is_private(ip) => Self::Local,
            _ if host == "localhost" || host.ends_with(".localhost") => Self::Local,
            _ if plain_allowed => Self::PlainAllowed,
            _ => Self::Public,
        }
    }
}

/// Says why a registry must not send us to `target`.
///
/// Names that resolve to private addresses are fine: VPC endpoints live there. Names that resolve
/// to link-local addresses are caught when they are resolved.
///
/// # Errors
/// The reason, as a phrase.
pub(crate) fn check_target(target: &Url, origin: Origin) -> Result<(), &'static str> {
    let host = target.host_str().unwrap_or_default();
    let local_name = host == "localhost" || host.ends_with(".localhost");
    match literal(host) {
        Some(ip) if is_link_local(ip) => return Err("link-local"),
        Some(ip) if is_private(ip) && origin != Origin::Local => return Err("private"),
        None if local_name && origin != Origin::Local => return Err("loopback"),
        _ => {}
    }
    match target.scheme() {
        "https" => Ok(()),
        "http" if origin != Origin::Public => Ok(()),
        "http" => Err("not https"),
        _ => Err("neither https nor http"),
    }
}

/// Whether `url` is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host.ends_with(".localhost")
        || literal(host).is_some_and(|address| address.is_loopback())
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

fn is_link_local(ip: IpAddr) -> bool {
    // The metadata service's address over IPv6 is not link-local by its prefix:
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip == Ipv4Addr::UNSPECIFIED,
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip == METADATA || ip == Ipv6Addr::UNSPECIFIED,
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        // 100.64.0.0/10 is shared address space, RFC 6598.
        IpAddr::V4(ip) => {
            ip.is_loopback() || ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

/// Resolves names as the system does, and drops the addresses that no registry can have.
#[derive(Debug, Clone, Copy)]
pub(super) struct GuardedResolver;

/// Every address of a name was one that no registry can have.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to a link-local address")]
pub(super) struct LinkLocalName;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().copied().filter(|address| !is_link_local(address.ip().to_canonical())).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(io::Error::other(LinkLocalName).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(origin: Origin, target: &str, expected: Result<(), &'static str>) {
        assert_eq!(check_target(&target.parse().unwrap(), origin), expected, "{target}");
    }

    #[test]
    fn keeps_a_registry_from_naming_the_metadata_service_or_the_neighbours() {
        use Origin::{Local, PlainAllowed, Public};
        for origin in [Local, PlainAllowed, Public] {
            check(origin, "http://169.254.169.254/latest/", Err("link-local"));
            check(origin, "https://[fe80::1]/", Err("link-local"));
            check(origin, "https://[::ffff:169.254.170.2]/", Err("link-local"));
            check(origin, "https://[fd00:ec2::254]/", Err("link-local"));
            check(origin, "https://0.0.0.0/", Err("link-local"));
        }
        check(Public, "https://10.0.0.5/", Err("private"));
        check(Public, "https://127.0.0.1/", Err("private"));
        check(Public, "https://localhost/", Err("loopback"));
        check(Public, "http://registry.example/", Err("not https"));
        check(Public, "file:///etc/passwd", Err("neither https nor http"));
        check(Public, "https://cdn.example/x?y=z", Ok(()));
        check(PlainAllowed, "http://registry.example/", Ok(()));
        check(Local, "http://127.0.0.1:5000/v2/", Ok(()));
    }

    #[test]
    fn judges_the_host_of_a_reference() {
        assert_eq!(Origin::of("127.0.0.1", false), Origin::Local);
        assert_eq!(Origin::of("::1", false), Origin::Local);
        assert_eq!(Origin::of("10.1.2.3", false), Origin::Local);
        assert_eq!(Origin::of("registry.example", true), Origin::PlainAllowed);
        assert_eq!(Origin::of("docker.io", false), Origin::Public);
    }
}
