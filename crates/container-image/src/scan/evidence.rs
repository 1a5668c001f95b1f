//! Evidence that a text in a file is an image.

use super::RawReference;

/// Reason to take a text for an image, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Evidence {
    /// A structure, a key or an instruction that takes an image.
    Field,
    /// The host of a known registry, or a host with a port.
    Registry,
    /// A first part that only looks like a host.
    Guess,
}

impl Evidence {
    /// Returns the name in JSON documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Registry => "registry",
            Self::Guess => "guess",
        }
    }

    /// Returns the evidence of the host in a name. A name without a host has none.
    pub(super) fn of_host(image: &RawReference) -> Option<Self> {
        let (host, _) = image.name.split_once('/')?;
        if is_placeholder(host) {
            return None;
        }
        let host = host.to_ascii_lowercase();
        let (name, port) =
            host.split_once(':').map_or((host.as_str(), None), |(name, port)| (name, Some(port)));
        let is_name = name.bytes().any(|byte| byte.is_ascii_alphabetic());
        if is_address(name) || is_known_registry(name) || name == "localhost" || (port.is_some() && is_name) {
            return Some(Self::Registry);
        }
        // Labels and annotations of Kubernetes have hosts that are no registries.
        let is_label = LABEL_DOMAINS.iter().any(|domain| name.ends_with(domain));
        (is_name && !is_label && has_domain(name)).then_some(Self::Guess)
    }
}

/// Hosts of registries.
const REGISTRIES: [&str; 24] = [
    "cgr.dev",
    "container-registry.oracle.com",
    "dhi.io",
    "docker.elastic.co",
    "docker.io",
    "docker.pkg.github.com",
    "docker.redpanda.com",
    "gcr.io",
    "ghcr.io",
    "icr.io",
    "index.docker.io",
    "k8s.gcr.io",
    "lscr.io",
    "mcr.microsoft.com",
    "nvcr.io",
    "public.ecr.aws",
    "quay.io",
    "registry-1.docker.io",
    "registry.access.redhat.com",
    "registry.connect.redhat.com",
    "registry.gitlab.com",
    "registry.hub.docker.com",
    "registry.k8s.io",
    "registry.redhat.io",
];

/// Domains in which each customer has a host.
const REGISTRY_DOMAINS: [&str; 8] = [
    ".azurecr.io",
    ".gcr.io",
    ".icr.io",
    ".jfrog.io",
    ".ocir.io",
    ".pkg.dev",
    ".registry.cpln.io",
    ".scw.cloud",
];

/// Domains of names in Kubernetes
/// (<https://kubernetes.io/docs/reference/labels-annotations-taints/>).
const LABEL_DOMAINS: [&str; 2] = ["k8s.io", "kubernetes.io"];

/// Returns true for a host such as `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, whose words in upper case are to be
/// replaced. A host of the table can have any case.
pub(super) fn is_placeholder(host: &str) -> bool {
    host.bytes().any(|byte| byte.is_ascii_uppercase())
        && !REGISTRIES.contains(&host.to_ascii_lowercase().as_str())
}

/// Returns true if the last part can be a top-level domain, such as `com`. A version has digits there.
fn has_domain(host: &str) -> bool {
    let domain = host.rsplit_once('.').map(|(_, domain)| domain);
    domain.is_some_and(|domain| domain.len() >= 2 && domain.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

fn is_known_registry(host: &str) -> bool {
    REGISTRIES.contains(&host) || REGISTRY_DOMAINS.iter().any(|domain| host.ends_with(domain)) || is_ecr(host)
}

/// Returns true for a private registry of Amazon ECR in any partition
/// (<https://docs.aws.amazon.com/general/latest/gr/ecr.html>).
fn is_ecr(host: &str) -> bool {
    let mut parts = host.splitn(3, '.');
    let account = parts.next().unwrap_or_default();
    let service = parts.next().unwrap_or_default();
    account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(service, "dkr" | "dkr-ecr" | "dkr-ecr-fips")
}

fn is_address(host: &str) -> bool {
    host.parse::<std::net::Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_evidence() {
        let evidence = |text: &str| Evidence::of_host(&text.parse().unwrap());
        for text in [
            "docker.io/library/a:1",
            "localhost/a:1",
            "localhost:5000/a:1",
            "registry:5000/a:1",
            "10.0.0.1/a:1",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a:1",
            "123456789012.dkr-ecr.eu-west-1.on.aws/a:1",
            "europe-docker.pkg.dev/p/r/a:1",
            "GHCR.io/a/b:1",
        ] {
            assert_eq!(evidence(text), Some(Evidence::Registry), "{text}");
        }
        assert_eq!(evidence("registry.acme.example/a:1"), Some(Evidence::Guess));
        for text in [
            "a/b:1",
            "a:1",
            "python",
            "v1.2/a:1",
            "1:2/3:4",
            "app.kubernetes.io/name:a",
            "ACCOUNT.dkr.ecr.REGION.amazonaws.com/a:1",
            "123456789012.dkr.ecr.REGION.amazonaws.com/a:1",
            "myRegistry.azurecr.io/a:1",
            "REGISTRY.EXAMPLE.COM/a:1",
            "HOST:5000/a:1",
        ] {
            assert_eq!(evidence(text), None, "{text}");
        }
    }
}
