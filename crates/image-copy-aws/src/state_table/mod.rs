//! The state table: one DynamoDB item for each tag, with conditional writes (docs/state.md).
//!
//! Copies work without the state, so every call ends within [`BUDGET`].

mod copies;
mod copy_record;
mod item;
#[cfg(feature = "command-line")]
mod scan;
mod seen;
mod tag_state;

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use aws_types::endpoint_config::AccountIdEndpointMode;
use image_copy::registry::Error;
use tokio::time::Instant;

use crate::AwsClients;
use crate::endpoints::Service;
use crate::retry::{RetryPolicy, RetryingClient};
use crate::timestamp::unix_time;

pub use copy_record::{CopyRecord, Owner};
use item::{IMAGE, Item, VERSION};
#[cfg(feature = "command-line")]
pub use scan::TableContent;
pub use seen::SeenDigests;
pub use tag_state::{Lease, TagState};

/// Time for one call with all its attempts. DynamoDB responds in milliseconds.
const BUDGET: Duration = Duration::from_secs(4);
/// Time for one attempt. It leaves time for another one if a connection hangs.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);
/// Time to connect. Without a route from the subnets, there is no response at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Pauses fit into [`BUDGET`].
const RETRY_POLICY: RetryPolicy = RetryPolicy {
    first_pause: Duration::from_millis(50),
    longest_pause: Duration::from_millis(800),
    max_attempts: 5,
    max_silence: Duration::from_secs(60),
    default_timeout: BUDGET,
};

/// A table with the partition key `Image` of type string.
#[derive(Clone)]
pub struct StateTable {
    client: Client,
    name: String,
    host: String,
}

/// Result of a conditional write.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteOutcome {
    /// The write succeeded. This is the item in the table.
    Written(TagState),
    /// Another client has written the item since it was read. This is the current item, or `None` if it was
    /// deleted.
    Conflict(Option<TagState>),
}

impl AwsClients {
    /// Returns the state table with this name or ARN, in the Region of the configuration.
    #[must_use]
    pub fn state_table(&self, name: &str) -> StateTable {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let config = aws_sdk_dynamodb::config::Builder::from(self.config())
            .timeout_config(timeouts)
            // A gateway endpoint only serves the Regional host name
            .account_id_endpoint_mode(AccountIdEndpointMode::Disabled)
            .build();
        let region = self.config().region().map(ToString::to_string).unwrap_or_default();
        StateTable {
            client: Client::from_conf(config),
            name: name.to_owned(),
            host: self.api_host(Service::DynamoDb, &region),
        }
    }
}

impl StateTable {
    /// Reads an item with strong consistency.
    ///
    /// # Errors
    /// DynamoDB's error, or no response within four seconds.
    pub async fn get(&self, image: &str) -> Result<Option<TagState>, Error> {
        let request = self
            .client
            .get_item()
            .table_name(&self.name)
            .key(IMAGE, AttributeValue::S(image.into()))
            .consistent_read(true);
        let output = self.client().send("dynamodb:GetItem", || request.clone().send()).await?;
        output.item.map(parse_item).transpose()
    }

    /// Writes an item, if it has not changed since it was read.
    ///
    /// # Errors
    /// As [`Self::get`]. DynamoDB may still have written the item.
    pub async fn put(&self, state: &TagState) -> Result<WriteOutcome, Error> {
        let now = unix_time();
        let state = state.clone().without_old_deletes(now);
        let version = new_version();
        let condition = WriteCondition::of(&state);
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item::serialize(&state, version, now)))
            .condition_expression(condition.expression)
            .expression_attribute_names("#name", condition.name)
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let conflict = self.write(
            "dynamodb:PutItem",
            || request.clone().send(),
            |error| match error {
                PutItemError::ConditionalCheckFailedException(failed) => Some(failed.item.clone()),
                _ => None,
            },
        );
        let conflict = conflict.await?;
        let written = TagState { version, ..state };
        let Some(found) = conflict else { return Ok(WriteOutcome::Written(written)) };
        let found = found.map(parse_item).transpose()?;
        // An earlier attempt, whose response was lost, wrote this version, because versions are unique.
        Ok(match found {
            Some(found) if found.version == version => WriteOutcome::Written(written),
            found => WriteOutcome::Conflict(found),
        })
    }

    /// Deletes an item, if it has not changed since it was read.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn delete(&self, state: &TagState) -> Result<WriteOutcome, Error> {
        let condition = WriteCondition::of(state);
        let request = self
            .client
            .delete_item()
            .table_name(&self.name)
            .key(IMAGE, AttributeValue::S(state.image.clone()))
            .condition_expression(condition.expression)
            .expression_attribute_names("#name", condition.name)
            .set_expression_attribute_values(condition.values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let conflict = self.write(
            "dynamodb:DeleteItem",
            || request.clone().send(),
            |error| match error {
                DeleteItemError::ConditionalCheckFailedException(failed) => Some(failed.item.clone()),
                _ => None,
            },
        );
        let conflict = conflict.await?;
        Ok(match conflict.map(|found| found.map(parse_item).transpose()).transpose()? {
            // The item is missing: this call deleted it, or an attempt whose response was lost.
            None | Some(None) => WriteOutcome::Written(TagState::new(&state.image)),
            Some(found) => WriteOutcome::Conflict(found),
        })
    }

    /// Sends a conditional write. If the condition failed, returns the item in the table, which `failed`
    /// extracts from the error.
    async fn write<T, E, F>(
        &self,
        action: &str,
        request: impl Fn() -> F,
        failed: impl Fn(&E) -> Option<Option<Item>>,
    ) -> Result<Option<Option<Item>>, Error>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failed = &failed;
        let send = || {
            let sent = request();
            async move {
                match sent.await {
                    Ok(_) => Ok(None),
                    Err(error) => match error.as_service_error().and_then(failed) {
                        Some(found) => Ok(Some(found)),
                        None => Err(error),
                    },
                }
            }
        };
        self.client().send(action, send).await
    }

    fn client(&self) -> RetryingClient<Client> {
        let deadline = Some(Instant::now() + BUDGET);
        RetryingClient::new(self.client.clone(), self.host.clone(), deadline, RETRY_POLICY)
    }
}

/// The condition that an item has not changed since it was read.
struct WriteCondition {
    expression: &'static str,
    name: &'static str,
    values: Option<Item>,
}

impl WriteCondition {
    fn of(state: &TagState) -> Self {
        if !state.is_stored() {
            return Self { expression: "attribute_not_exists(#name)", name: IMAGE, values: None };
        }
        let seen = AttributeValue::N(state.version.to_string());
        Self { expression: "#name = :seen", name: VERSION, values: Some([(":seen".to_owned(), seen)].into()) }
    }
}

fn parse_item(item: Item) -> Result<TagState, Error> {
    item::parse(item).ok_or(Error::Protocol("the item in the state table is not a tag state"))
}

/// Returns a unique version: the time and a random part, so that a new item never has the version of an
/// expired one.
fn new_version() -> u64 {
    unix_time() * 1_000_000_000 + fastrand::u64(..1_000_000_000)
}

#[cfg(test)]
mod tests;
