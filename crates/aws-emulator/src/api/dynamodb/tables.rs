//! The tables of one Region: a current database, and a delayed one for eventually consistent reads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dynoxide::actions::get_item::GetItemRequest;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{API, ApiError};

/// Name and value of each key attribute of an item.
type Key = Map<String, Value>;

/// The tables of one Region.
pub(super) struct Tables {
    current: Database,
    /// Items as they were before their last write, until that write's read lag ends.
    lagging: Database,
    /// Names of the key attributes of each table.
    keys: BTreeMap<String, Vec<String>>,
    /// Writes that have not reached `lagging`.
    recent: Vec<Write>,
}

struct Write {
    table: String,
    key: Key,
    at: Instant,
}

impl Tables {
    pub(super) fn new() -> Self {
        let memory = || Database::memory().expect("a database in memory needs no file");
        Self { current: memory(), lagging: memory(), keys: BTreeMap::new(), recent: Vec::new() }
    }

    /// Executes an action of the API.
    pub(super) fn call(&mut self, action: &str, input: &Value, lag: Duration) -> Result<Value, ApiError> {
        let table = input["TableName"].as_str().unwrap_or_default();
        match action {
            "CreateTable" => {
                run(input, |request| self.lagging.create_table(request))?;
                let output = run(input, |request| self.current.create_table(request))?;
                let schema = input["KeySchema"].as_array().into_iter().flatten();
                let names = schema.filter_map(|key| key["AttributeName"].as_str().map(ToOwned::to_owned));
                self.keys.insert(table.to_owned(), names.collect());
                Ok(output)
            }
            "DeleteTable" => {
                run(input, |request| self.lagging.delete_table(request))?;
                self.recent.retain(|write| write.table != table);
                self.keys.remove(table);
                run(input, |request| self.current.delete_table(request))
            }
            "DescribeTable" => run(input, |request| self.current.describe_table(request)),
            "GetItem" => {
                let database = self.database(input["ConsistentRead"] == true, lag)?;
                run(input, |request| database.get_item(request))
            }
            "Query" => {
                let database = self.database(input["ConsistentRead"] == true, lag)?;
                run(input, |request| database.query(request))
            }
            "Scan" => {
                let database = self.database(input["ConsistentRead"] == true, lag)?;
                run(input, |request| database.scan(request))
            }
            "BatchGetItem" => {
                // One table without ConsistentRead makes the whole call eventually consistent.
                let mut requests = input["RequestItems"].as_object().into_iter().flat_map(Map::values);
                let consistent = requests.all(|request| request["ConsistentRead"] == true);
                let database = self.database(consistent, lag)?;
                run(input, |request| database.batch_get_item(request))
            }
            "PutItem" => {
                let key = self.key(table, &input["Item"]);
                self.write(table, key, |current| run(input, |request| current.put_item(request)))
            }
            "UpdateItem" => {
                let key = self.key(table, &input["Key"]);
                self.write(table, key, |current| run(input, |request| current.update_item(request)))
            }
            "DeleteItem" => {
                let key = self.key(table, &input["Key"]);
                self.write(table, key, |current| run(input, |request| current.delete_item(request)))
            }
            _ => Err(API.unknown(action)),
        }
    }

    /// Returns all items of a table.
    pub(super) fn items(&self, table: &str) -> Result<Vec<Value>, ApiError> {
        let mut items = Vec::new();
        let mut input = json!({"TableName": table, "ConsistentRead": true});
        loop {
            let output = run(&input, |request| self.current.scan(request))?;
            items.extend(output["Items"].as_array().into_iter().flatten().cloned());
            match output.get("LastEvaluatedKey") {
                Some(key) => input["ExclusiveStartKey"] = key.clone(),
                None => return Ok(items),
            }
        }
    }

    /// Stores an item in both databases.
    pub(super) fn put(&mut self, table: &str, item: &Value) -> Result<(), ApiError> {
        let key = self.key(table, item);
        for database in [&self.current, &self.lagging] {
            store(database, table, &key, Some(item))?;
        }
        self.recent.retain(|write| write.table != table || write.key != key);
        Ok(())
    }

    /// Deletes an item from both databases.
    pub(super) fn remove(&mut self, table: &str, key: &str) -> Result<(), ApiError> {
        let names = self.keys.get(table).map_or(&[][..], Vec::as_slice);
        let key: Key = names.iter().map(|name| (name.clone(), json!({"S": key}))).collect();
        for database in [&self.current, &self.lagging] {
            store(database, table, &key, None)?;
        }
        self.recent.retain(|write| write.table != table || write.key != key);
        Ok(())
    }

    /// Returns the key attributes of an item.
    fn key(&self, table: &str, item: &Value) -> Key {
        let names = self.keys.get(table).map_or(&[][..], Vec::as_slice);
        names.iter().filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect()
    }

    /// Executes a write. If it succeeds, eventually consistent reads return the earlier item.
    fn write(
        &mut self,
        table: &str,
        key: Key,
        act: impl FnOnce(&Database) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        // If the key is invalid, `act` reports it.
        let before = load(&self.current, table, &key).unwrap_or_default();
        let output = act(&self.current)?;
        store(&self.lagging, table, &key, before.as_ref())?;
        self.recent.retain(|write| write.table != table || write.key != key);
        self.recent.push(Write { table: table.to_owned(), key, at: Instant::now() });
        Ok(output)
    }

    /// Returns the database for a read.
    fn database(&mut self, consistent: bool, lag: Duration) -> Result<&Database, ApiError> {
        if consistent {
            return Ok(&self.current);
        }
        let settled = self.recent.extract_if(.., |write| write.at.elapsed() >= lag);
        for Write { table, key, .. } in settled {
            let item = load(&self.current, &table, &key)?;
            store(&self.lagging, &table, &key, item.as_ref())?;
        }
        Ok(&self.lagging)
    }
}

/// Reads an item.
fn load(database: &Database, table: &str, key: &Key) -> Result<Option<Value>, ApiError> {
    let input = json!({"TableName": table, "Key": key});
    let output = run(&input, |request: GetItemRequest| database.get_item(request))?;
    Ok(output.get("Item").cloned())
}

/// Stores an item, or removes it if `item` is empty.
fn store(database: &Database, table: &str, key: &Key, item: Option<&Value>) -> Result<(), ApiError> {
    match item {
        Some(item) => {
            run(&json!({"TableName": table, "Item": item}), |request| database.put_item(request))?;
        }
        None => {
            run(&json!({"TableName": table, "Key": key}), |request| database.delete_item(request))?;
        }
    }
    Ok(())
}

/// Parses a request, executes it, and returns the response or the error as JSON.
fn run<Input: DeserializeOwned, Output: Serialize>(
    input: &Value,
    act: impl FnOnce(Input) -> dynoxide::Result<Output>,
) -> Result<Value, ApiError> {
    let input = serde_json::from_str(&input.to_string()).map_err(|error| parse_error(&error.to_string()))?;
    let output = act(input).map_err(|error| api_error(&error))?;
    Ok(serde_json::to_value(output).expect("a response of DynamoDB is JSON"))
}

/// Returns the error for a request that dynoxide cannot parse. Its messages start with the kind of error
/// (`serde_errors` in dynoxide) and end with a position.
fn parse_error(message: &str) -> ApiError {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    for prefix in ["VALIDATION:", "VALIDATION_REQUEST:", "VALIDATION_AS_READ:"] {
        if let Some(message) = message.strip_prefix(prefix) {
            return ApiError::new("ValidationException", message);
        }
    }
    let message = message.strip_prefix("SERIALIZATION:").unwrap_or(message);
    ApiError::new("SerializationException", message)
}

fn api_error(error: &DynoxideError) -> ApiError {
    let name = error.error_type();
    let name = name.rsplit_once('#').map_or(name, |(_, name)| name);
    let response = serde_json::to_value(error.to_response()).expect("an error of DynamoDB is JSON");
    ApiError { item: response.get("Item").cloned(), ..ApiError::new(name, error.to_string()) }
}
