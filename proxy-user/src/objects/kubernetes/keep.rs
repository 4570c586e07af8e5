//! What is read of an object: the rest is dropped while it is parsed and never takes memory.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Which fields of a value are kept. Lists are kept as they are, each entry reduced to this.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keep {
    /// All of it.
    All,
    /// These fields.
    Fields(&'static [(&'static str, Self)]),
}

impl Keep {
    fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::All => Some(self),
            Self::Fields(fields) => fields.iter().find(|(field, _)| *field == name).map(|(_, keep)| *keep),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Keep {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(field) = map.next_key_seed(FieldOf(self))? {
            match field {
                Some((name, keep)) => drop(fields.insert(name, map.next_value_seed(keep)?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields.into())
    }
}

/// The name of a field, and what is kept of it; of one that isn't kept not even the name takes memory.
struct FieldOf(Keep);

impl<'de> DeserializeSeed<'de> for FieldOf {
    type Value = Option<(String, Keep)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldOf {
    type Value = Option<(String, Keep)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(name).map(|keep| (name.to_owned(), keep)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_named_is_dropped_at_any_depth_and_in_lists_and_the_rest_stays_as_it_is() {
        const KEEP: Keep = Keep::Fields(&[("a", Keep::All), ("b", Keep::Fields(&[("c", Keep::All)]))]);
        let given = json!({
            "a": { "x": [1, -2, 0.5, null, true], "y": "\u{e9}\n" },
            "b": [{ "c": {}, "d": "gone" }, { "d": [{}] }, 7],
            "managedFields": [{ "f:spec": {} }],
        });
        let expected = json!({
            "a": { "x": [1, -2, 0.5, null, true], "y": "\u{e9}\n" },
            "b": [{ "c": {} }, {}, 7],
        });
        let text = given.to_string();
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        assert_eq!(KEEP.deserialize(&mut deserializer).unwrap(), expected);
        assert_eq!(KEEP.deserialize(given).unwrap(), expected, "however the parser hands the fields over");
    }
}
