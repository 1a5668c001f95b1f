//! How requests are sent, and the HTTP client that follows from it.

use std::fmt;
use std::time::Duration;

use super::Backoff;
use super::classify_error::root_cause;
use super::resolver::GuardedResolver;

/// How requests are sent.
#[derive(Clone)]
pub struct Options {
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// Certificates of authorities to trust besides the system's, as PEM.
    pub certificates: Vec<u8>,
    /// Proxy for every request to another machine; without one, what the environment says holds.
    pub proxy: Option<String>,
    /// Hosts that are reached over unencrypted HTTP, each with its port unless that is 80. This machine is
    /// not listed.
    pub plain_http: Vec<String>,
    /// Attempts and pauses.
    pub backoff: Backoff,
    /// Longest wait for a connection. A black-holed route must not eat the time of the copy.
    pub connect_timeout: Duration,
    /// Longest wait for the head of a response, and for the next bytes of a body.
    pub read_timeout: Duration,
    /// Longest wait for the response to a complete upload, from the moment the connection took its last
    /// byte. The registry hashes the blob once more.
    pub commit_timeout: Duration,
    /// Minimum rate of a body in bytes per second, averaged over `read_timeout`. The time in which this
    /// side does not read or has nothing to send does not count.
    pub minimum_rate: u64,
}

/// Without the proxy, whose address can contain a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("user_agent", &self.user_agent).finish_non_exhaustive()
    }
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
            // Six concurrent blobs still pass through a line of 1 Mbit/s.
            minimum_rate: 16 * 1024,
        }
    }
}

impl Options {
    /// Returns true if `bytes` in `time` are less than the minimum rate.
    pub(super) fn is_too_slow(&self, bytes: u64, time: Duration) -> bool {
        u128::from(bytes) * 1000 < u128::from(self.minimum_rate) * time.as_millis()
    }

    /// Creates a client with these options. A direct one uses no proxy.
    pub(super) fn build_client(
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
                    format!("the additional certificates cannot be read: {}", root_cause(&error))
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
            true => format!("TLS cannot be set up: {}", root_cause(&error)),
            false => format!("the additional certificates cannot be used: {}", root_cause(&error)),
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
