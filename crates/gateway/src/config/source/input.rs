//! From TOML to the values that kinds read.

use toml_edit::{Item, Value};

use crate::config::kinds::Input;

/// What a TOML value says.
pub(super) fn input(item: &Item) -> Input {
    match item {
        Item::Value(value) => value_input(value),
        Item::Table(table) => Input::Table(table.iter().map(|(k, v)| (k.to_owned(), input(v))).collect()),
        Item::None | Item::ArrayOfTables(_) => Input::Other,
    }
}

fn value_input(value: &Value) -> Input {
    match value {
        Value::String(text) => Input::Text(text.value().clone()),
        Value::Integer(number) => Input::Integer(*number.value()),
        Value::Float(number) => Input::Float(*number.value()),
        Value::Boolean(on) => Input::Switch(*on.value()),
        Value::Array(array) => Input::List(array.iter().map(value_input).collect()),
        Value::InlineTable(table) => {
            Input::Table(table.iter().map(|(k, v)| (k.to_owned(), value_input(v))).collect())
        }
        Value::Datetime(_) => Input::Other,
    }
}
