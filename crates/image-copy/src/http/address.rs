//! Checks the addresses in redirects, upload locations and token realms.
//!
//! The operator of the registry chooses these addresses, and the author of the reference the registry. They
//! must not lead to the metadata service, to loopback services, or to unencrypted HTTP at another host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Network of the registry in the reference. It decides the addresses that the registry can redirect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// The registry is on this machine. All addresses except link-local ones are allowed.
    Loopback,
    /// The host is a literal private address. Other private addresses are allowed.
    Private,
    /// Any other host.
    Public,
}

impl Network {
    /// Returns the network of a host without its port.
    #[must_use]
    pub(crate) fn of(host: &str) -> Self {
        match is_loopback_host(host) {
            true => Self::Loopback,
            false if literal_addresses(host).iter().any(|ip| is_private(*ip)) => Self::Private,
            false => Self::Public,
        }
    }
}

/// Hosts and ports to use unencrypted HTTP with.
#[derive(Debug, Clone, Default)]
pub(super) struct PlainHttpHosts(Vec<(String, u16)>);

impl PlainHttpHosts {
    /// Reads hosts in the form of a reference. The default port is 80.
    pub(super) fn new(hosts: &[String]) -> Self {
        let parsed = |host: &String| format!("http://{host}/").parse::<Url>().ok();
        Self(hosts.iter().filter_map(parsed).filter_map(|url| host_and_port(&url)).collect())
    }

    /// Returns true if the host and port of `url` are listed.
    pub(super) fn contains(&self, url: &Url) -> bool {
        host_and_port(url).is_some_and(|target| self.0.contains(&target))
    }

    /// Returns the host names, without ports.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(host, _)| host.as_str())
    }
}

fn host_and_port(url: &Url) -> Option<(String, u16)> {
    Some((normalized_host(url.host_str()?), url.port_or_known_default()?))
}

/// Checks if a registry in `network` can redirect to `target`.
///
/// Names that resolve to private addresses are allowed, because VPC endpoints have private addresses.
/// Names that resolve to link-local and loopback addresses are rejected during name resolution.
///
/// # Errors
/// The reason, as a phrase.
pub(super) fn check_target(
    target: &Url,
    network: Network,
    plain_http: &PlainHttpHosts,
) -> Result<(), &'static str> {
    let host = target.host_str().unwrap_or_default();
    let addresses = literal_addresses(host);
    if addresses.iter().any(|ip| is_link_local(*ip)) {
        return Err("link-local");
    }
    if network != Network::Loopback && is_loopback_host(host) {
        return Err("loopback");
    }
    if network == Network::Public && addresses.iter().any(|ip| is_private(*ip)) {
        return Err("private");
    }
    match target.scheme() {
        "https" => Ok(()),
        "http" if is_loopback_host(host) || plain_http.contains(target) => Ok(()),
        "http" => Err("not https"),
        _ => Err("neither https nor http"),
    }
}

/// Removes the user name and the password from a URL. The HTTP client would send them as credentials.
pub(crate) fn without_credentials(mut url: Url) -> Url {
    // Fails only for URLs without a host, which have no user name.
    let _ = url.set_username("").and(url.set_password(None));
    url
}

/// Returns true if a host without its port is a loopback name or address. Resolves no names.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let host = normalized_host(host);
    host == "localhost"
        || host.ends_with(".localhost")
        || literal_addresses(&host).iter().any(|address| address.is_loopback())
}

/// Returns the name in lower case. The final dot of a fully qualified name does not change its meaning.
pub(super) fn normalized_host(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Returns the address of a host that is a literal address, and the IPv4 addresses embedded in it.
fn literal_addresses(host: &str) -> Vec<IpAddr> {
    let host = normalized_host(host);
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    literal.map(with_embedded_ipv4).unwrap_or_default()
}

/// Returns an address and the IPv4 addresses that a translator or the operating system can derive from it:
/// IPv4-mapped and IPv4-compatible (<https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5>),
/// IPv4-translated (<https://www.rfc-editor.org/rfc/rfc2765#section-2.1>), NAT64
/// (<https://www.rfc-editor.org/rfc/rfc6052#section-2.2>, <https://www.rfc-editor.org/rfc/rfc8215>) and
/// 6to4 (<https://www.rfc-editor.org/rfc/rfc3056#section-2>).
pub(super) fn with_embedded_ipv4(ip: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = ip else { return vec![ip] };
    if v6.is_loopback() || v6.is_unspecified() {
        return vec![ip];
    }
    let segments = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    let at_end = v4(segments[6], segments[7]);
    match segments {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => vec![at_end],
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![ip, at_end],
        // The operator chooses the length of the prefix. With 48 bits, the address is split around bits 64 to
        // 71.
        [0x64, 0xff9b, 1, high, middle, low, ..] => {
            vec![ip, at_end, v4(high, (middle << 8) | (low >> 8))]
        }
        [0x2002, high, low, ..] => vec![ip, v4(high, low)],
        _ => vec![ip],
    }
}

pub(super) fn is_link_local(ip: IpAddr) -> bool {
    // The IPv6 address of the metadata service is outside the link-local prefix:
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip == METADATA || ip.is_unspecified(),
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        // 100.64.0.0/10 is shared address space, RFC 6598.
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        // fec0::/10 is the deprecated site-local range, RFC 3879.
        IpAddr::V6(ip) => ip.is_unique_local() || ip.segments()[0] & 0xffc0 == 0xfec0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(registry: (&str, &[&str]), target: &str, expected: Result<(), &'static str>) {
        let plain_http =
            PlainHttpHosts::new(&registry.1.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>());
        let found = check_target(&target.parse().unwrap(), Network::of(registry.0), &plain_http);
        assert_eq!(found, expected, "{registry:?}: {target}");
    }

    const LISTED: &[&str] = &["registry.example", "10.1.2.3:5000", "other.example:80"];

    #[test]
    fn rejects_the_metadata_service_and_private_addresses() {
        for registry in ["registry.example", "127.0.0.1", "10.1.2.3", "::1"] {
            for target in [
                "http://169.254.169.254/latest/",
                "https://[fe80::1]/",
                "https://[::ffff:169.254.170.2]/",
                "https://[::169.254.169.254]/",
                "https://[64:ff9b::169.254.169.254]/",
                "https://[64:ff9b:1::169.254.169.254]/",
                "https://[64:ff9b:1:a9fe:a9:fe00::]/",
                "https://[2002:a9fe:a9fe::1]/",
                "https://[::ffff:0:169.254.169.254]/",
                "https://[fd00:ec2::254]/",
                "https://0.0.0.0/",
                "https://0.1.2.3/",
                "https://169.254.169.254./",
                "https://0xa9fea9fe/",
            ] {
                check((registry, LISTED), target, Err("link-local"));
            }
            check((registry, LISTED), "file:///etc/passwd", Err("neither https nor http"));
            check((registry, LISTED), "https://cdn.example/x?y=z", Ok(()));
            check((registry, LISTED), "https://[2001:db8::1]/", Ok(()));
            check((registry, LISTED), "https://[64:ff9b::198.51.100.1]/", Ok(()));
        }
        for target in [
            "https://10.0.0.5/",
            "https://[::ffff:10.0.0.5]/",
            "https://[64:ff9b::10.0.0.5]/",
            "https://[fd00::1]/",
            "https://[fec0::1]/",
        ] {
            check(("registry.example", LISTED), target, Err("private"));
            check(("10.1.2.3", LISTED), target, Ok(()));
            check(("localhost", LISTED), target, Ok(()));
        }
        for target in [
            "https://127.0.0.1/",
            "https://127.0.0.1./",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::127.0.0.1]/",
            "https://localhost/",
            "https://localhost.:1/",
            "https://A.LocalHost/",
        ] {
            check(("registry.example", LISTED), target, Err("loopback"));
            check(("10.1.2.3", LISTED), target, Err("loopback"));
            check(("127.0.0.1", LISTED), target, Ok(()));
        }
    }

    #[test]
    fn checks_unencrypted_http_for_each_target() {
        for registry in ["registry.example", "127.0.0.1", "10.1.2.3"] {
            check((registry, &[]), "http://registry.example/", Err("not https"));
            check((registry, LISTED), "http://registry.example/", Ok(()));
            check((registry, LISTED), "http://registry.example./", Ok(()));
            check((registry, LISTED), "http://registry.example:8080/", Err("not https"));
            check((registry, LISTED), "http://other.example/", Ok(()));
            check((registry, LISTED), "http://third.example/", Err("not https"));
        }
        check(("127.0.0.1", &[]), "http://127.0.0.1:5000/v2/", Ok(()));
        check(("::1", &[]), "http://localhost:5000/v2/", Ok(()));
        check(("10.1.2.3", &[]), "http://10.1.2.3:5000/v2/", Err("not https"));
        check(("10.1.2.3", LISTED), "http://10.1.2.3:5000/v2/", Ok(()));
        check(("10.1.2.3", LISTED), "http://10.0.0.5:5000/v2/", Err("not https"));
    }
}
