//! How registries are reached: the flags for that, and the logins of whoever runs the program.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use image_copy::http;
use image_copy::oci::{self, Registry};
use image_copy::registry::{Client, Credentials, CredentialsProvider, Error};

use crate::aws_login::AwsLogins;
use crate::credentials::DockerLogins;
use crate::{input_file, system};

/// Size limit of a file with certificates in bytes. The bundles of operating systems hold 0.2 MiB.
const LONGEST_CERTIFICATES: u64 = 8 << 20;

/// A client with the logins of whoever runs the program.
///
/// # Errors
/// A line that names the flag to change.
pub(crate) fn client(plain_http: &[Registry], authority: Option<&Path>) -> Result<Client, String> {
    let certificates = match authority {
        Some(file) => input_file::read(file, LONGEST_CERTIFICATES).map_err(|error| {
            format!(
                "--certificate-authority {}: the file cannot be read: {}.",
                system::shown(file),
                system::words(&error)
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
    Client::new(options, logins()).map_err(|problem| match authority {
        Some(file) => format!("--certificate-authority {}: {problem}.", system::shown(file)),
        None => format!("{problem}."),
    })
}

/// Everywhere a login may be, the place that was meant for it first.
fn logins() -> Arc<dyn CredentialsProvider> {
    Arc::new(Chain(vec![Arc::new(DockerLogins::from_environment()), Arc::new(AwsLogins::new())]))
}

/// Asks one after the other: the first login that there is counts, and the next when the registry has
/// refused that one. What `docker login` stored for ECR ends after 12 hours.
struct Chain(Vec<Arc<dyn CredentialsProvider>>);

impl CredentialsProvider for Chain {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a oci::Repository,
        refused: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        Box::pin(async move {
            let mut known = None;
            for source in &self.0 {
                let Some(login) = source.credentials_for(repository, refused).await? else { continue };
                if refused != Some(&login) {
                    return Ok(Some(login));
                }
                known = Some(login);
            }
            Ok(known)
        })
    }

    fn needs_no_challenge(&self, repository: &oci::Repository) -> bool {
        self.0.iter().any(|source| source.needs_no_challenge(repository))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct For(&'static str, &'static str);

    impl CredentialsProvider for For {
        fn credentials_for<'a>(
            &'a self,
            repository: &'a oci::Repository,
            _: Option<&'a Credentials>,
        ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
            let login = (repository.registry().as_str() == self.0)
                .then(|| Credentials { username: self.1.into(), password: "x".into() });
            Box::pin(async move { Ok(login) })
        }
    }

    fn named(host: &str) -> oci::Repository {
        oci::Repository::new(host.parse().unwrap(), "acme/app").unwrap()
    }

    #[tokio::test]
    async fn the_first_login_that_there_is_counts() {
        let chain =
            Chain(vec![Arc::new(For("a", "first")), Arc::new(For("a", "x")), Arc::new(For("b", "second"))]);
        let login =
            async |host| chain.credentials_for(&named(host), None).await.unwrap().map(|login| login.username);
        assert_eq!(login("a").await.as_deref(), Some("first"));
        assert_eq!(login("b").await.as_deref(), Some("second"));
        assert_eq!(login("c").await, None);
        let first = chain.credentials_for(&named("a"), None).await.unwrap().unwrap();
        let next = chain.credentials_for(&named("a"), Some(&first)).await.unwrap().unwrap();
        assert_eq!(next.username, "x", "the first was refused");
    }
}
