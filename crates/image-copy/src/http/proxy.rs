//! Finds the proxy of a request, so that an error can name it.
//!
//! The HTTP client finds its proxy by the same rules, but does not expose it.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

/// The configured proxies.
pub(super) struct Proxies {
    matcher: Matcher,
    variable_name: fn(&Url) -> String,
}

impl Proxies {
    /// Reads the proxies of the environment variables.
    pub(super) fn from_environment() -> Self {
        Self { matcher: Matcher::from_system(), variable_name: variable }
    }

    /// Uses one proxy for all requests.
    pub(super) fn single(proxy: &str) -> Self {
        Self { matcher: Matcher::builder().all(proxy).build(), variable_name: |_| String::new() }
    }

    /// Returns the proxy for `url` and its environment variable, such as `proxy.example:3128 (HTTPS_PROXY)`.
    /// Omits credentials in the address.
    pub(super) fn describe(&self, url: &Url) -> Option<String> {
        let intercept = self.matcher.intercept(&url.as_str().parse().ok()?)?;
        let address = intercept.uri();
        let port = address.port_u16().map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("{}{port}{}", address.host()?, (self.variable_name)(url)))
    }

    /// Returns the hosts of all proxies.
    pub(super) fn hosts(&self) -> Vec<String> {
        let targets = ["https://registry.invalid/", "http://registry.invalid/"];
        let intercepts = targets.iter().filter_map(|url| self.matcher.intercept(&url.parse().ok()?));
        intercepts.filter_map(|intercept| Some(intercept.uri().host()?.to_owned())).collect()
    }
}

/// Returns the variable that contains the proxy for `url`. The order is the HTTP client's.
#[expect(clippy::disallowed_methods, reason = "the HTTP client does not expose the variable")]
fn variable(url: &Url) -> String {
    let names = match url.scheme() {
        "https" => ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        _ => ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
    };
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    names.into_iter().find(is_set).map_or_else(String::new, |name| format!(" ({name})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_the_proxy_without_credentials() {
        let proxies = |proxy, no| Proxies {
            matcher: Matcher::builder().https(proxy).no(no).build(),
            variable_name: |_| " (HTTPS_PROXY)".into(),
        };
        let name = |proxy, no, url: &str| proxies(proxy, no).describe(&url.parse().unwrap());
        let expected = Some("proxy.example:3128 (HTTPS_PROXY)".to_owned());
        assert_eq!(name("http://ann:hunter2@proxy.example:3128", "", "https://ghcr.io/v2/"), expected);
        assert_eq!(name("proxy.example:3128", "", "https://ghcr.io:5000/v2/?a=b"), expected);
        assert_eq!(name("http://proxy.example:3128", "ghcr.io", "https://ghcr.io/v2/"), None);
        assert_eq!(name("http://proxy.example:3128", "", "http://ghcr.io/v2/"), None);
    }
}
