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
pub(crate) struct Origin {
    /// On this machine or at a private address written out: its neighbours are allowed.
    nearby: bool,
    /// On this machine, or allowed by configuration to do without TLS.
    plain: bool,
}

impl Origin {
    /// Judges the host that a reference named, without its port.
    #[must_use]
    pub(crate) fn of(host: &str, plain_allowed: bool) -> Self {
        let here = is_this_machine(host);
        Self { nearby: here || literal(host).is_some_and(is_private), plain: here || plain_allowed }
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
    match literal(host) {
        Some(ip) if is_link_local(ip) => return Err("link-local"),
        Some(ip) if is_private(ip) && !origin.nearby => return Err("private"),
        None if is_this_machine(host) && !origin.nearby => return Err("loopback"),
        _ => {}
    }
    match target.scheme() {
        "https" => Ok(()),
        "http" if origin.plain => Ok(()),
        "http" => Err("not https"),
        _ => Err("neither https nor http"),
    }
}

/// Whether a host, without its port, is this machine by its very name.
pub(crate) fn is_this_machine(host: &str) -> bool {
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
    fn check(registry: (&str, bool), target: &str, expected: Result<(), &'static str>) {
        let origin = Origin::of(registry.0, registry.1);
        assert_eq!(check_target(&target.parse().unwrap(), origin), expected, "{registry:?}: {target}");
    }

    #[test]
    fn keeps_a_registry_from_naming_the_metadata_service_or_the_neighbours() {
        let (public, listed) = (("registry.example", false), ("registry.example", true));
        let (here, private) = (("127.0.0.1", false), ("10.1.2.3", false));
        for registry in [public, listed, here, private] {
            check(registry, "http://169.254.169.254/latest/", Err("link-local"));
            check(registry, "https://[fe80::1]/", Err("link-local"));
            check(registry, "https://[::ffff:169.254.170.2]/", Err("link-local"));
            check(registry, "https://[fd00:ec2::254]/", Err("link-local"));
            check(registry, "https://0.0.0.0/", Err("link-local"));
            check(registry, "file:///etc/passwd", Err("neither https nor http"));
            check(registry, "https://cdn.example/x?y=z", Ok(()));
        }
        for registry in [public, listed] {
            check(registry, "https://10.0.0.5/", Err("private"));
            check(registry, "https://127.0.0.1/", Err("private"));
            check(registry, "https://localhost/", Err("loopback"));
        }
        check(public, "http://registry.example/", Err("not https"));
        check(listed, "http://registry.example/", Ok(()));
        check(here, "http://127.0.0.1:5000/v2/", Ok(()));
        check(("::1", false), "http://localhost:5000/v2/", Ok(()));
        check(private, "https://10.0.0.5/", Ok(()));
        check(private, "http://10.1.2.3:5000/v2/", Err("not https"));
        check(("10.1.2.3", true), "http://10.0.0.5:5000/v2/", Ok(()));
    }
}
