//! Changes of rows, and rows in memory: what a projection says before any database has heard of it.

use std::collections::{BTreeMap, btree_map::Entry};

use serde::Serialize;

use super::schema::{TABLES, Table};

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Nothing.
    Null,
    /// A number.
    Number(i64),
    /// Text, cut to the column's length.
    Text(String),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// Numbers beyond what a column holds become the largest it does.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<crate::digest::Digest> for Value {
    fn from(digest: crate::digest::Digest) -> Self {
        Self::Text(digest.to_string())
    }
}

/// Of fixed width, so that text sorts as time does.
impl From<jiff::Timestamp> for Value {
    fn from(time: jiff::Timestamp) -> Self {
        Self::Text(format!("{time:.3}"))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Columns and what they hold.
pub type Values = Vec<(&'static str, Value)>;

/// One change of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new row. That there is none with its key is what the journal promises.
    Add(&'static Table, Values),
    /// The row with this key has these values; where there is none, it is made.
    Put(&'static Table, Values),
    /// A new row; where there is one with its key, that one stays.
    Keep(&'static Table, Values),
    /// The row with this key, if there is one, gets these values.
    Set(&'static Table, Values),
    /// All rows with these values go.
    Remove(&'static Table, Values),
}

impl Change {
    /// The same change with every text cut to what its column takes.
    pub fn cut(mut self) -> Self {
        let (Self::Add(table, values)
        | Self::Put(table, values)
        | Self::Keep(table, values)
        | Self::Set(table, values)
        | Self::Remove(table, values)) = &mut self;
        for (name, value) in values {
            if let (Value::Text(text), Some(length)) = (value, table.column(name).length) {
                cut(text, length);
            }
        }
        self
    }
}

/// The first `length` characters of a text: a longer one could not be stored, and would hold up everything after it.
pub fn cut(text: &mut String, length: usize) {
    if let Some((at, _)) = text.char_indices().nth(length) {
        text.truncate(at);
    }
}

/// Rows in memory, by table and primary key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows(BTreeMap<&'static str, BTreeMap<Vec<Value>, Values>>);

/// A change that the rows do not allow: there is a row with this key already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{table} has a row with the key {key:?} already")]
pub struct Duplicate {
    /// The table.
    pub table: &'static str,
    /// The key.
    pub key: Vec<Value>,
}

impl Rows {
    /// Makes a change.
    pub fn apply(&mut self, change: Change) -> Result<(), Duplicate> {
        let (Change::Add(table, _)
        | Change::Put(table, _)
        | Change::Keep(table, _)
        | Change::Set(table, _)
        | Change::Remove(table, _)) = &change;
        let rows = self.0.entry(table.name).or_default();
        match change {
            Change::Add(table, values) => match rows.entry(key(table, &values)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(whole(table, values));
                }
                Entry::Occupied(occupied) => {
                    return Err(Duplicate { table: table.name, key: occupied.key().clone() });
                }
            },
            Change::Put(table, values) => match rows.entry(key(table, &values)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(whole(table, values));
                }
                Entry::Occupied(occupied) => update(occupied.into_mut(), values),
            },
            Change::Keep(table, values) => {
                rows.entry(key(table, &values)).or_insert_with(|| whole(table, values));
            }
            Change::Set(table, values) => {
                if let Some(row) = rows.get_mut(&key(table, &values)) {
                    update(row, values);
                }
            }
            Change::Remove(_, values) => rows.retain(|_, row| !values.iter().all(|value| row.contains(value))),
        }
        Ok(())
    }

    /// Takes a whole row, as a database holds it.
    pub fn insert(&mut self, table: &'static Table, values: Values) {
        self.0.entry(table.name).or_default().insert(key(table, &values), whole(table, values));
    }

    /// The rows of a table in the order of their keys.
    pub fn of(&self, table: &Table) -> impl Iterator<Item = &Values> {
        self.0.get(table.name).into_iter().flat_map(BTreeMap::values)
    }

    /// One line per row: JSON of table and columns, in an order that depends on nothing but the rows.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for table in TABLES {
            for row in self.of(table) {
                let columns: BTreeMap<_, _> = row.iter().map(|(name, value)| (*name, value)).collect();
                lines.push(format!("{} {}", table.name, serde_json::json!(columns)));
            }
        }
        lines
    }
}

fn key(table: &Table, values: &Values) -> Vec<Value> {
    table.key_columns().iter().map(|column| get(values, column.name)).collect()
}

/// The values in the table's order, those that are not given as nothing.
fn whole(table: &Table, values: Values) -> Values {
    table.columns.iter().map(|column| (column.name, get(&values, column.name))).collect()
}

fn get(values: &Values, name: &str) -> Value {
    values.iter().find(|(column, _)| *column == name).map_or(Value::Null, |(_, value)| value.clone())
}

fn update(row: &mut Values, values: Values) {
    for (name, value) in values {
        if let Some((_, held)) = row.iter_mut().find(|(column, _)| *column == name) {
            *held = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::viewport::schema::{METADATA, RELEASES};

    fn of_web(mut more: Values) -> Values {
        let mut values = vec![("namespace", "shop".into()), ("application", "web".into()), ("version", "1.0.0".into())];
        values.append(&mut more);
        values
    }

    #[test]
    fn text_is_cut_by_characters() {
        let change = Change::Add(&METADATA, of_web(vec![("name", "ä".repeat(300).into()), ("value", "short".into())]));
        let Change::Add(_, values) = change.cut() else { panic!() };
        assert_eq!(get(&values, "name"), Value::Text("ä".repeat(255)));
        assert_eq!(get(&values, "value"), "short".into());
    }

    #[test]
    fn rows_are_added_once_and_set_where_they_are() {
        let mut rows = Rows::default();
        let owner = |name: &str| of_web(vec![("owner", name.into())]);
        rows.apply(Change::Set(&RELEASES, owner("nobody"))).unwrap();
        assert!(rows.lines().is_empty());
        rows.apply(Change::Add(&RELEASES, owner("maria"))).unwrap();
        assert!(rows.apply(Change::Add(&RELEASES, owner("jonas"))).is_err());
        rows.apply(Change::Set(&RELEASES, owner("jonas"))).unwrap();
        assert_eq!(rows.of(&RELEASES).map(|row| get(row, "owner")).collect::<Vec<_>>(), ["jonas".into()]);
        rows.apply(Change::Remove(&RELEASES, of_web(Vec::new()))).unwrap();
        assert_eq!(rows.of(&RELEASES).count(), 0);
    }

    #[test]
    fn times_sort_as_text() {
        let at = |text: &str| Value::from(text.parse::<jiff::Timestamp>().unwrap());
        assert_eq!(at("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05.000Z".into());
        assert!(at("2026-01-02T03:04:05.1Z") < at("2026-01-02T03:04:05.12Z"));
    }
}
