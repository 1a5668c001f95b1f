//! How requests are sent, and the HTTP client that follows from it.

use std::time::Duration;

use super::Backoff;
use super::address::GuardedResolver;
use super::describe::innermost;

/// How requests are sent.
#[derive(Debug, Clone)]
pub struct Options {
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// Certificates of authorities to trust besides the system's, as PEM.
    pub certificates: Vec<u8>,
    /// Proxy for every request to another machine; without one, what the environment says holds.
    pub proxy: Option<String>,
    /// Hosts that are reached over unencrypted HTTP, each with its port unless that is 80. This machine
    /// need not be listed.
    pub plain_http: Vec<String>,
    /// How tries follow each other.
    pub backoff: Backoff,
    /// Longest wait for a connection. A black-holed route must not eat the time of the copy.
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes.
    pub read_timeout: Duration,
    /// Longest wait for the answer to a whole blob: the registry hashes it once more.
    pub commit_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_agent: concat!("image-copy/", env!("CARGO_PKG_VERSION")).into(),
            certificates: Vec::new(),
            proxy: None,
            plain_http: Vec::new(),
            backoff: Backoff::default(),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            commit_timeout: Duration::from_secs(180),
        }
    }
}

impl Options {
    /// Creates a client with these options. A direct one uses no proxy.
    pub(super) fn client(
        &self,
        resolver: GuardedResolver,
        is_direct: bool,
    ) -> Result<reqwest::Client, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .connect_timeout(self.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .dns_resolver(resolver);
        if !self.certificates.is_empty() {
            let certificates =
                reqwest::Certificate::from_pem_bundle(&self.certificates).map_err(|error| {
                    format!("the additional certificates cannot be read: {}", innermost(&error))
                })?;
            if certificates.is_empty() {
                return Err("the additional certificates hold no certificate".into());
            }
            builder = builder.tls_certs_merge(certificates);
        }
        builder = match &self.proxy {
            _ if is_direct => builder.no_proxy(),
            Some(address) => {
                let proxy = reqwest::Proxy::all(address);
                builder.proxy(proxy.map_err(|error| format!("the proxy cannot be used: {error}"))?)
            }
            None => builder,
        };
        builder.build().map_err(|error| match self.certificates.is_empty() {
            true => format!("TLS cannot be set up: {}", innermost(&error)),
            false => format!("the additional certificates cannot be used: {}", innermost(&error)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Client;
    use super::*;

    #[track_caller]
    fn check(certificates: &str, expected: &str) {
        let options = Options { certificates: certificates.into(), ..Options::default() };
        let problem = Client::new(options).unwrap_err();
        assert!(problem.starts_with(expected) && !problem.contains('\n'), "{problem}");
    }

    #[test]
    fn a_broken_bundle_is_one_clear_line() {
        check("acme", "the additional certificates hold no certificate");
        let block =
            |inside: &str| format!("-----BEGIN CERTIFICATE-----\n{inside}\n-----END CERTIFICATE-----\n");
        check(&block("!!!!"), "the additional certificates cannot be read: ");
        check(&block("YWNtZQ=="), "the additional certificates cannot be used: ");
        check("-----BEGIN CERTIFICATE-----\nYWNt", "the additional certificates cannot be read: ");
    }
}
