//! The production table: one DynamoDB table with a partition key `pk` and a sort key `sk`.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    client::Waiters,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    primitives::Blob,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, CancellationReason, ConditionCheck, Delete, KeySchemaElement,
        KeyType, Put, ScalarAttributeType, TransactWriteItem,
    },
};
use bytes::Bytes;
use url::Url;

use super::table::{Action, Condition, Item, ItemKey, Range, Table, TableError, Write, check_limits, etag};
use crate::aws;

const PARTITION: &str = "pk";
const SORT: &str = "sk";
const BODY: &str = "body";
const BLOB: &str = "blob";
const ETAG: &str = "etag";

/// How long a new table may take to become active.
const CREATION: Duration = Duration::from_secs(120);
/// How often a transaction is tried while others hold its items or the table throttles.
const ATTEMPTS: u32 = 8;

type Attributes = HashMap<String, AttributeValue>;

/// A DynamoDB table. Clones share its client.
#[derive(Debug, Clone)]
pub struct DynamoDbTable {
    client: Client,
    name: String,
}

impl DynamoDbTable {
    /// Opens a table, which is created (billed per request) when missing. `endpoint` names a server other than AWS.
    pub async fn open(name: &str, endpoint: Option<&Url>) -> Result<Self, TableError> {
        let table = Self { client: Client::new(&aws::sdk_config(endpoint).await), name: name.to_owned() };
        if !table.exists().await? {
            table.create().await?;
        }
        Ok(table)
    }

    async fn exists(&self) -> Result<bool, TableError> {
        let description = match self.client.describe_table().table_name(&self.name).send().await {
            Ok(output) => output.table,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                return Ok(false);
            }
            Err(error) => return Err(self.failed(&error)),
        };
        let mut keys: Vec<_> = description
            .iter()
            .flat_map(|table| table.key_schema())
            .map(|key| (key.key_type().clone(), key.attribute_name()))
            .collect();
        keys.sort();
        if keys != [(KeyType::Hash, PARTITION), (KeyType::Range, SORT)] {
            return Err(self.unavailable(format!(
                "it is no Chart Store: its keys must be {PARTITION} (HASH) and {SORT} (RANGE). Name another table, or \
                 none that exists: it is created then"
            )));
        }
        Ok(true)
    }

    async fn create(&self) -> Result<(), TableError> {
        let attribute =
            |name| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
        let key = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let incomplete = |error| self.unavailable(format!("{error}"));
        let created = self
            .client
            .create_table()
            .table_name(&self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute(PARTITION).map_err(incomplete)?)
            .attribute_definitions(attribute(SORT).map_err(incomplete)?)
            .key_schema(key(PARTITION, KeyType::Hash).map_err(incomplete)?)
            .key_schema(key(SORT, KeyType::Range).map_err(incomplete)?)
            .send()
            .await;
        match created {
            Ok(_) => crate::failpoint::after_write("create DynamoDB table"),
            // Another replica was faster.
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => {}
            Err(error) => return Err(self.failed(&error)),
        }
        self.client
            .wait_until_table_exists()
            .table_name(&self.name)
            .wait(CREATION)
            .await
            .map(drop)
            .map_err(|error| self.unavailable(format!("it did not become active: {}", aws::causes(&error))))
    }

    fn unavailable(&self, message: String) -> TableError {
        TableError::Unavailable { store: format!("DynamoDB table {}", self.name), message }
    }

    fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> TableError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        self.unavailable(aws::describe(error))
    }

    fn item(&self, mut attributes: Attributes) -> Result<Item, TableError> {
        let mut text = |name: &str| match attributes.remove(name) {
            Some(AttributeValue::S(text)) => Ok(text),
            _ => Err(self.unavailable(format!("an item has no text in {name}: something else writes to this table"))),
        };
        let key = ItemKey { partition: text(PARTITION)?, sort: text(SORT)? };
        let (body, etag) = (text(BODY)?, text(ETAG)?);
        let blob = match attributes.remove(BLOB) {
            Some(AttributeValue::B(blob)) => Some(Bytes::from(blob.into_inner())),
            _ => None,
        };
        Ok(Item { key, body, blob, etag })
    }

    fn write(&self, write: &Write) -> Result<TransactWriteItem, TableError> {
        let (expression, value) = match &write.condition {
            Condition::Any => (None, None),
            Condition::Absent => (Some("attribute_not_exists(pk)"), None),
            Condition::Present => (Some("attribute_exists(pk)"), None),
            Condition::Etag(expected) => (Some("etag = :etag"), Some(AttributeValue::S(expected.clone()))),
        };
        let expression = expression.map(str::to_owned);
        let values = value.map(|value| HashMap::from([(":etag".to_owned(), value)]));
        let item = TransactWriteItem::builder();
        let key = key_attributes(&write.key);
        let built = match &write.action {
            Action::Put { body, blob } => Put::builder()
                .table_name(&self.name)
                .set_item(Some(content(key, body, blob.as_ref())))
                .set_condition_expression(expression)
                .set_expression_attribute_values(values)
                .build()
                .map(|put| item.put(put)),
            Action::Delete => Delete::builder()
                .table_name(&self.name)
                .set_key(Some(key))
                .set_condition_expression(expression)
                .set_expression_attribute_values(values)
                .build()
                .map(|delete| item.delete(delete)),
            Action::Check => ConditionCheck::builder()
                .table_name(&self.name)
                .set_key(Some(key))
                // A check must have an expression; this one always holds.
                .condition_expression(
                    expression.unwrap_or_else(|| "attribute_exists(pk) OR attribute_not_exists(pk)".to_owned()),
                )
                .set_expression_attribute_values(values)
                .build()
                .map(|check| item.condition_check(check)),
        };
        Ok(built.map_err(|error| self.unavailable(error.to_string()))?.build())
    }
}

fn key_attributes(key: &ItemKey) -> Attributes {
    HashMap::from([
        (PARTITION.to_owned(), AttributeValue::S(key.partition.clone())),
        (SORT.to_owned(), AttributeValue::S(key.sort.clone())),
    ])
}

fn content(mut key: Attributes, body: &str, blob: Option<&Bytes>) -> Attributes {
    key.insert(ETAG.to_owned(), AttributeValue::S(etag(body, blob.map(AsRef::as_ref))));
    key.insert(BODY.to_owned(), AttributeValue::S(body.to_owned()));
    if let Some(blob) = blob {
        key.insert(BLOB.to_owned(), AttributeValue::B(Blob::new(blob.as_ref())));
    }
    key
}

/// What became of a transaction that DynamoDB cancelled.
#[derive(Debug, PartialEq, Eq)]
enum Cancelled {
    /// These conditions do not hold.
    Unmet(Vec<usize>),
    /// Other transactions or too many requests were in the way; it may be tried again.
    Busy,
    /// Anything else.
    Refused(String),
}

/// Reads the reasons, which come one per write. A condition that does not hold outweighs a busy item: trying again
/// cannot help.
fn cancelled(reasons: &[CancellationReason]) -> Cancelled {
    let mut unmet = Vec::new();
    let mut refused = None;
    for (position, reason) in reasons.iter().enumerate() {
        match reason.code().unwrap_or("None") {
            "None" | "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded" => {}
            "ConditionalCheckFailed" => unmet.push(position),
            code => refused = Some(format!("{code}: {}", reason.message().unwrap_or("no reason given"))),
        }
    }
    match refused {
        Some(message) => Cancelled::Refused(message),
        None if unmet.is_empty() => Cancelled::Busy,
        None => Cancelled::Unmet(unmet),
    }
}

/// Waits after the n-th attempt: at most 40 ms after the first, twice that each time, never more than 1 s; random, so
/// that writers that collided do not do so again.
async fn back_off(attempt: u32) {
    let most = (20_u64 << attempt.min(6)).min(1000);
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=most))).await;
}

#[async_trait]
impl Table for DynamoDbTable {
    async fn get(&self, key: &ItemKey) -> Result<Option<Item>, TableError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key_attributes(key)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| self.failed(&error))?;
        output.item.map(|attributes| self.item(attributes)).transpose()
    }

    async fn query(&self, range: &Range, limit: usize) -> Result<Vec<Item>, TableError> {
        let Some((lower, upper)) = range.bounds() else { return Ok(Vec::new()) };
        let mut items = Vec::new();
        let mut position = None;
        // One answer holds at most 1 MB, however many items are asked for.
        while items.len() < limit {
            let output = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression("pk = :partition AND sk BETWEEN :lower AND :upper")
                .expression_attribute_values(":partition", AttributeValue::S(range.partition.clone()))
                .expression_attribute_values(":lower", AttributeValue::S(lower.clone()))
                .expression_attribute_values(":upper", AttributeValue::S(upper.clone()))
                .limit(i32::try_from(limit - items.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(position)
                .send()
                .await
                .map_err(|error| self.failed(&error))?;
            for attributes in output.items.unwrap_or_default() {
                items.push(self.item(attributes)?);
            }
            position = output.last_evaluated_key;
            if position.is_none() {
                break;
            }
        }
        Ok(items)
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), TableError> {
        check_limits(writes)?;
        if writes.is_empty() {
            return Ok(());
        }
        let items = writes.iter().map(|write| self.write(write)).collect::<Result<Vec<_>, _>>()?;
        let mut attempt = 0;
        loop {
            let error = match self.client.transact_write_items().set_transact_items(Some(items.clone())).send().await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let busy = match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(reasons)) => {
                    match cancelled(reasons.cancellation_reasons()) {
                        Cancelled::Unmet(failed) => return Err(TableError::ConditionFailed { failed }),
                        Cancelled::Refused(message) => return Err(self.unavailable(message)),
                        Cancelled::Busy => true,
                    }
                }
                Some(TransactWriteItemsError::TransactionInProgressException(_)) => true,
                _ => false,
            };
            attempt += 1;
            if !busy || attempt == ATTEMPTS {
                return Err(self.failed(&error));
            }
            back_off(attempt).await;
        }
    }

    async fn ping(&self) -> Result<(), TableError> {
        // A read, not DescribeTable: that is what a plane's credentials must allow anyway.
        self.get(&ItemKey::new("ping", "ping")).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        codes.iter().map(|code| CancellationReason::builder().code(*code).message("why").build()).collect()
    }

    #[test]
    fn a_failed_condition_outweighs_a_busy_item() {
        assert_eq!(
            cancelled(&reasons(&["None", "ConditionalCheckFailed", "TransactionConflict", "ConditionalCheckFailed"])),
            Cancelled::Unmet(vec![1, 3])
        );
    }

    #[test]
    fn conflicts_and_throttling_may_be_tried_again() {
        for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
            assert_eq!(cancelled(&reasons(&["None", code])), Cancelled::Busy, "{code}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        assert_eq!(
            cancelled(&reasons(&["ConditionalCheckFailed", "ValidationError"])),
            Cancelled::Refused("ValidationError: why".into())
        );
    }
}
