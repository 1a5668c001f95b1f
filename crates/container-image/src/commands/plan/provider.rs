//! The provider's functions, as far as the user can read their configuration.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use image_copy::registry::Error;
use image_copy::text::SanitizedText;
use image_copy_aws::{CopySettings, DeniedAction, RepositoryArn, function_region};
use tokio::sync::OnceCell;

use crate::connection::Connection;

/// A function that the property `ServiceToken` names.
#[derive(Debug, Clone)]
pub(super) enum Provider {
    /// The function with its role, and its settings or the reason why they are unknown.
    Function { role: String, settings: Settings },
    /// The deployment would fail: sentences with one thing to change.
    Invalid(String),
    /// The reason why nothing is known.
    Unknown(String),
}

/// Settings of a function.
#[derive(Debug, Clone)]
pub(super) enum Settings {
    Valid(CopySettings),
    /// A sentence about the invalid setting.
    Invalid(String),
    /// The reason why they are unknown.
    Unknown(String),
}

/// Result of the simulation of a role, or the reason why it was not possible.
type Simulation = Result<Vec<DeniedAction>, String>;

/// Reads each function and each role once.
pub(super) struct Providers<'a> {
    connection: &'a Connection,
    /// Region of the stack.
    region: &'a str,
    functions: Cache<String, Provider>,
    simulations: Cache<(String, String), Simulation>,
}

impl<'a> Providers<'a> {
    pub(super) fn new(connection: &'a Connection, region: &'a str) -> Self {
        Self { connection, region, functions: Cache::default(), simulations: Cache::default() }
    }

    /// Returns the function with this ARN.
    pub(super) async fn function(&self, token: &str) -> Provider {
        self.functions.get(token.to_owned(), || self.read_function(token)).await
    }

    async fn read_function(&self, token: &str) -> Provider {
        let shown = SanitizedText::new(token, 200);
        let Some(region) = function_region(token) else {
            return Provider::Unknown(format!("ServiceToken {shown} is not the ARN of a Lambda function"));
        };
        // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
        if region != self.region {
            return Provider::Invalid(format!(
                "ServiceToken is in Region {region}, but the stack is in {}. Use the function of the stack's Region, \
                 or pass --region.",
                self.region
            ));
        }
        match self.connection.aws_clients().await.function_configuration(token).await {
            Ok(function) => {
                Provider::Function { role: function.role, settings: settings(function.environment) }
            }
            Err(error) if error.has_code("ResourceNotFoundException") => Provider::Invalid(format!(
                "Function {shown} was not found: {error}. Install the provider, or correct ServiceToken."
            )),
            Err(error) => Provider::Unknown(error.to_string()),
        }
    }

    /// Returns the actions that the policies of the role do not allow for the repository.
    pub(super) async fn denied_actions(&self, role: &str, repository: &RepositoryArn) -> Simulation {
        let simulate = || async {
            let clients = self.connection.aws_clients().await;
            clients.denied_actions(role, repository).await.map_err(|error: Error| error.to_string())
        };
        self.simulations.get((role.to_owned(), repository.to_string()), simulate).await
    }
}

fn settings(environment: Result<HashMap<String, String>, String>) -> Settings {
    match environment {
        Err(reason) => Settings::Unknown(format!("its environment cannot be read (\"{reason}\")")),
        Ok(variables) => {
            let variable = |name: &str| {
                variables.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
            };
            match CopySettings::read(variable) {
                Ok(settings) => Settings::Valid(settings),
                Err(problem) => Settings::Invalid(format!("{problem}. Correct it in the provider's stack.")),
            }
        }
    }
}

/// Values that are computed once for each key. Other tasks wait for the first one.
struct Cache<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    async fn get<F: Future<Output = V>>(&self, key: K, compute: impl FnOnce() -> F) -> V {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key).or_default())
        };
        cell.get_or_init(compute).await.clone()
    }
}
