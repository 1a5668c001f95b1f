//! Options of requests, and the HTTP client built from them.

use std::fmt;
use std::time::Duration;

use super::Backoff;
use super::reqwest_error::root_cause;
use super::resolver::GuardedResolver;

/// Options of requests.
#[derive(Clone)]
pub struct Options {
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// CA certificates in PEM format, trusted in addition to those of the system.
    pub certificates: Vec<u8>,
    /// Proxy for all requests to other machines. `None`: the proxy of the environment variables.
    pub proxy: Option<String>,
    /// Hosts to use unencrypted HTTP with, each with its port unless it is 80. Loopback hosts need no entry.
    pub plain_http: Vec<String>,
    /// Number of attempts, and pauses between them.
    pub backoff: Backoff,
    /// Time limit of a connection attempt. It is short, so that an unreachable host does not use up the time
    /// of the copy.
    pub connect_timeout: Duration,
    /// Time limit for the head of a response, and for the next bytes of a body.
    pub read_timeout: Duration,
    /// Time limit for the response to an upload, after the connection accepted its last byte. It is long,
    /// because the registry computes the digest of the blob.
    pub commit_timeout: Duration,
    /// Minimum rate of a body in bytes per second, averaged over `read_timeout`. Time in which the client
    /// does not read or has nothing to send does not count.
    pub minimum_rate: u64,
}

/// Omits the proxy, because its address can contain a password.
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
            // Allows six concurrent blobs over 1 Mbit/s.
            minimum_rate: 16 * 1024,
        }
    }
}

impl Options {
    /// Returns true if `bytes` in `time` is below the minimum rate.
    pub(super) fn is_too_slow(&self, bytes: u64, time: Duration) -> bool {
        u128::from(bytes) * 1000 < u128::from(self.minimum_rate) * time.as_millis()
    }

    /// Creates a client with these options. A direct client uses no proxy.
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
                return Err("no CA certificate was found".into());
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
        let error = Client::new(options).unwrap_err();
        assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
    }

    #[test]
    fn reports_an_invalid_bundle_in_one_line() {
        check("acme", "no CA certificate was found");
        let block =
            |inside: &str| format!("-----BEGIN CERTIFICATE-----\n{inside}\n-----END CERTIFICATE-----\n");
        check(&block("!!!!"), "the additional certificates cannot be read: ");
        check(&block("YWNtZQ=="), "the additional certificates cannot be used: ");
        check("-----BEGIN CERTIFICATE-----\nYWNt", "the additional certificates cannot be read: ");
    }
}
