//! Builds the registry client from the connection options and the user's credentials.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use image_copy::http;
use image_copy::oci::{self, Registry};
use image_copy::registry::{Client, Credentials, CredentialsProvider, Error};

use crate::auth_files::AuthFiles;
use crate::ecr_credentials::EcrCredentials;
use crate::{display, input_file};

/// Maximum size of the certificate file in bytes. The bundles of operating systems have 0.2 MiB.
const MAX_CERTIFICATE_BYTES: u64 = 8 << 20;

/// Returns a client with the user's credentials.
///
/// # Errors
/// Error line that names the option to change.
pub(crate) fn client(plain_http: &[Registry], ca_certificate: Option<&Path>) -> Result<Client, String> {
    let certificates = match ca_certificate {
        Some(file) => input_file::read(file, MAX_CERTIFICATE_BYTES).map_err(|error| {
            format!(
                "--certificate-authority {}: the file cannot be read: {}.",
                display::path(file),
                display::io_error(&error)
            )
        })?,
        None => Vec::new(),
    };
    let options = http::Options {
        user_agent: concat!("container-image/", env!("CARGO_PKG_VERSION")).into(),
        certificates,
        plain_http: plain_http.iter().map(Registry::to_string).collect(),
        ..http::Options::default()
    };
    Client::new(options, credentials()).map_err(|problem| match ca_certificate {
        Some(file) => format!("--certificate-authority {}: {problem}.", display::path(file)),
        None => format!("{problem}."),
    })
}

/// Returns all sources of credentials, the most specific first.
fn credentials() -> Arc<dyn CredentialsProvider> {
    Arc::new(CredentialChain(vec![Arc::new(AuthFiles::from_environment()), Arc::new(EcrCredentials::new())]))
}

/// Queries each source in order and returns the first credentials.
///
/// If the registry rejected them, the next source is used: ECR credentials stored by `docker login` expire
/// after 12 hours.
struct CredentialChain(Vec<Arc<dyn CredentialsProvider>>);

impl CredentialsProvider for CredentialChain {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        Box::pin(async move {
            let mut last = None;
            for source in &self.0 {
                let Some(credentials) = source.credentials_for(repository, rejected).await? else { continue };
                if rejected != Some(&credentials) {
                    return Ok(Some(credentials));
                }
                last = Some(credentials);
            }
            Ok(last)
        })
    }

    fn needs_no_challenge(&self, repository: &oci::Repository) -> bool {
        self.0.iter().any(|source| source.needs_no_challenge(repository))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static str, &'static str);

    impl CredentialsProvider for Fixed {
        fn credentials_for<'a>(
            &'a self,
            repository: &'a oci::Repository,
            _: Option<&'a Credentials>,
        ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
            let credentials = (repository.registry().as_str() == self.0)
                .then(|| Credentials { username: self.1.into(), password: "x".into() });
            Box::pin(async move { Ok(credentials) })
        }
    }

    fn named(host: &str) -> oci::Repository {
        oci::Repository::new(host.parse().unwrap(), "acme/app").unwrap()
    }

    #[tokio::test]
    async fn returns_the_first_credentials_that_are_not_rejected() {
        let chain = CredentialChain(vec![
            Arc::new(Fixed("a", "first")),
            Arc::new(Fixed("a", "x")),
            Arc::new(Fixed("b", "second")),
        ]);
        let credentials = async |host| {
            chain.credentials_for(&named(host), None).await.unwrap().map(|credentials| credentials.username)
        };
        assert_eq!(credentials("a").await.as_deref(), Some("first"));
        assert_eq!(credentials("b").await.as_deref(), Some("second"));
        assert_eq!(credentials("c").await, None);
        let first = chain.credentials_for(&named("a"), None).await.unwrap().unwrap();
        let next = chain.credentials_for(&named("a"), Some(&first)).await.unwrap().unwrap();
        assert_eq!(next.username, "x", "the first was rejected");
    }
}
