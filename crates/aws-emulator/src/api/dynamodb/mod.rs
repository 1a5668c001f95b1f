//! DynamoDB of all Regions, implemented by the crate `dynoxide-rs` in memory
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/>).
//!
//! During the read lag after a write, a read without `ConsistentRead` returns the earlier item. This
//! reveals a missing `ConsistentRead` in a test.

mod json;
mod tables;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use crate::service::{Operation, Request, Response, Service};

use super::{Api, ApiError, Caller, Denials, Deny, JsonVersion, hosts};
use tables::Tables;

static API: Api = Api {
    service: "dynamodb",
    log_service: "dynamodb",
    target_prefix: "DynamoDB_20120810.",
    hosts: &["dynamodb", "dynamodb-fips"],
    dual_stack_hosts: &["dynamodb"],
    json: JsonVersion::V1_0("com.amazonaws.dynamodb.v20120810"),
};

/// Partition key of the provider's state table.
const KEY: &str = "Image";

/// Read lag unless a test sets another. Real tables usually settle within a second.
const READ_LAG: Duration = Duration::from_secs(1);

/// All tables of one account.
pub struct DynamoDb {
    /// Account of the caller.
    account: String,
    state: Mutex<State>,
}

struct State {
    regions: BTreeMap<String, Tables>,
    denials: Denials,
    read_lag: Duration,
}

impl DynamoDb {
    pub(crate) fn new(account: &str) -> Self {
        let state = State { regions: BTreeMap::new(), denials: Denials::default(), read_lag: READ_LAG };
        Self { account: account.to_owned(), state: Mutex::new(state) }
    }

    /// Creates a DynamoDB without tables and without a proxy, for tests that control the order of calls.
    pub fn standalone() -> Arc<Self> {
        Arc::new(Self::new("123456789012"))
    }

    /// Executes an action of the API.
    ///
    /// # Errors
    ///
    /// Returns name and message of the error.
    pub fn call(&self, region: &str, action: &str, input: &Value) -> Result<Value, (&'static str, String)> {
        let caller = Caller::unnamed(&self.account, region);
        self.execute(&caller, region, action, input).map_err(|error| (error.name, error.message))
    }

    /// Creates an on-demand table with the schema of the provider's state table.
    ///
    /// # Panics
    ///
    /// Panics if the table exists or its name is invalid.
    pub fn create_table(&self, region: &str, name: &str) {
        self.create_table_with_key(region, name, KEY);
    }

    /// Creates an on-demand table with another partition key, a string.
    ///
    /// # Panics
    ///
    /// Panics if the table exists or its name is invalid.
    pub fn create_table_with_key(&self, region: &str, name: &str, key: &str) {
        let input = json!({
            "TableName": name,
            "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        });
        self.call_or_panic(region, |tables| tables.call("CreateTable", &input, Duration::ZERO).map(drop));
    }

    /// Deletes a table with its items.
    ///
    /// # Panics
    ///
    /// Panics if the table does not exist.
    pub fn delete_table(&self, region: &str, name: &str) {
        let input = json!({"TableName": name});
        self.call_or_panic(region, |tables| tables.call("DeleteTable", &input, Duration::ZERO).map(drop));
    }

    /// Returns all items of a table as plain JSON. Sets become lists, and binary data becomes base64.
    ///
    /// # Panics
    ///
    /// Panics if the table does not exist.
    pub fn items(&self, region: &str, name: &str) -> Vec<Value> {
        let items = self.call_or_panic(region, |tables| tables.items(name));
        items.iter().map(json::decode_item).collect()
    }

    /// Stores an item from plain JSON without permissions and conditions. All reads return it immediately.
    ///
    /// # Panics
    ///
    /// Panics if the item is no object or the table does not accept it.
    pub fn put(&self, region: &str, name: &str, item: &Value) {
        let item = json::encode_item(item);
        self.call_or_panic(region, |tables| tables.put(name, &item));
    }

    /// Deletes the item with this partition key, if it exists. No read returns it afterwards.
    ///
    /// # Panics
    ///
    /// Panics if the table does not exist.
    pub fn remove(&self, region: &str, name: &str, key: &str) {
        self.call_or_panic(region, |tables| tables.remove(name, key));
    }

    /// Sets the time after a write in which a read without `ConsistentRead` returns the earlier item.
    pub fn set_read_lag(&self, lag: Duration) {
        self.lock().read_lag = lag;
    }

    /// Denies actions such as `dynamodb:PutItem` on table ARNs. Both are patterns with `*`.
    pub fn deny(&self, action: &str, resource: &str) {
        self.lock().denials.add(action, resource);
    }

    /// Removes all denials.
    pub fn allow_everything(&self) {
        self.lock().denials.clear();
    }

    fn call_or_panic<T>(&self, region: &str, act: impl FnOnce(&mut Tables) -> Result<T, ApiError>) -> T {
        let result = act(self.lock().tables(region));
        result.unwrap_or_else(|error| panic!("DynamoDB in {region}: {}: {}", error.name, error.message))
    }

    fn execute(&self, caller: &Caller, region: &str, action: &str, input: &Value) -> Result<Value, ApiError> {
        let mut state = self.lock();
        let arn = |table: &str| {
            let partition = hosts::partition(region);
            format!("arn:{partition}:dynamodb:{region}:{}:table/{table}", self.account)
        };
        for table in named_tables(input) {
            state.denials.check(caller, &format!("{}:{action}", API.service), &arn(table))?;
        }
        let lag = state.read_lag;
        let mut output = state.tables(region).call(action, input, lag)?;
        // dynoxide's ARNs have a Region and an account of their own.
        for name in ["Table", "TableDescription"] {
            let table = output[name]["TableName"].as_str().map(&arn);
            if let Some(arn) = table {
                output[name]["TableArn"] = json!(arn);
            }
        }
        Ok(output)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tables(&mut self, region: &str) -> &mut Tables {
        self.regions.entry(region.to_owned()).or_insert_with(Tables::new)
    }
}

/// Returns the tables that a request names.
fn named_tables(input: &Value) -> Vec<&str> {
    match input["RequestItems"].as_object() {
        Some(requests) => requests.keys().map(String::as_str).collect(),
        None => vec![input["TableName"].as_str().unwrap_or_default()],
    }
}

/// Returns true if a host name is an account-based endpoint, such as
/// `123456789012.ddb.eu-west-1.amazonaws.com`.
fn is_account_endpoint(host: &str) -> bool {
    hosts::split_at_region(host).is_some_and(|(name, ..)| name.ends_with(".ddb"))
}

impl Deny for DynamoDb {
    fn denies(&self, action: &str, resource: &str) -> bool {
        self.lock().denials.contains(action, resource)
    }
}

impl Service for DynamoDb {
    fn serves(&self, host: &str) -> bool {
        API.region(host).is_some() || is_account_endpoint(host)
    }

    fn operation(&self, _: &str, _: &Method, _: &Uri, headers: &HeaderMap) -> Operation {
        API.operation(headers)
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            if is_account_endpoint(&request.host) {
                let message = format!(
                    "aws-emulator: the account-based endpoint {} is rejected: use the Region's endpoint, \
                     because a gateway endpoint does not serve others",
                    request.host
                );
                return API.error_response(&ApiError::new("UnknownOperationException", message));
            }
            let execute = |region: &str, caller: &Caller, action: &str, input: &Value| {
                self.execute(caller, region, action, input)
            };
            API.respond(&self.account, request, execute).await
        })
    }
}
