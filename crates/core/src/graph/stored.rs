//! Owns how primitives are written and read: as the name of their type and their parameters.
//!
//! Parameters are JSON values on the way, so that each type's conversion is compiled for one format
//! only.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Deserializer, Serializer, de, ser, ser::SerializeMap};
use serde_json::{Map, Value};

use super::Primitive;

/// What of a primitive goes into a file. [`stored!`](crate::stored) implements it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{graph::Stored, ops::matmul::Matmul};
/// assert_eq!(Matmul.type_name(), "Matmul");
/// assert!(Matmul.parameters().expect("it has none").is_null());
/// ```
pub trait Stored {
    /// The name under which the type is known, in files of all versions.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{graph::Stored, ops::logsumexp::LogSumExp};
    /// assert_eq!(LogSumExp.type_name(), "LogSumExp");
    /// ```
    fn type_name(&self) -> &'static str;

    /// The primitive's fields.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::{Shape, graph::Stored, ops::as_strided::AsStrided};
    /// let part = AsStrided { shape: Shape::from([2]), strides: [3].into_iter().collect(), offset: 1 };
    /// assert_eq!(part.parameters().expect("they are numbers")["offset"], 1);
    /// ```
    fn parameters(&self) -> serde_json::Result<Value>;
}

/// A type of primitives that can be read. [`stored!`](crate::stored) makes it known.
#[doc(hidden)]
pub struct StoredType {
    pub name: &'static str,
    pub read: fn(Value) -> serde_json::Result<Arc<dyn Primitive>>,
}

inventory::collect!(StoredType);

/// Lets a type of primitives be written to files and read again, under its own name or another. The
/// type must be `serde::Serialize` and `serde::Deserialize`. A name is for ever: files hold it.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::{graph::Stored, stored};
/// # use olivine_core::{Array, Result, graph::{self, Primitive}};
/// #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
/// struct Half;
/// stored!(Half, "HalfOfTheExample");
/// assert_eq!(Half.type_name(), "HalfOfTheExample");
/// # impl Primitive for Half {
/// #     fn name(&self) -> &'static str { "half" }
/// #     fn infer(&self, x: &[Array]) -> Result<graph::Specs> {
/// #         Ok([graph::Spec::new(x[0].shape(), x[0].dtype())].into())
/// #     }
/// #     fn vjp(&self, vjp: &graph::Vjp) -> Result<graph::Gradients> { vjp.unsupported("example") }
/// #     fn jvp(&self, jvp: &graph::Jvp) -> Result<graph::Tangents> { jvp.unsupported("example") }
/// #     fn vmap(&self, vmap: &graph::Vmap) -> Result<graph::Batched> { vmap.each(self) }
/// #     fn decompose(&self, x: &[Array]) -> Result<Vec<Array>> { Ok(vec![x[0].divide(2)?]) }
/// # }
/// ```
#[macro_export]
macro_rules! stored {
    ($type:ty) => {
        $crate::stored!($type, stringify!($type));
    };
    ($type:ty, $name:expr) => {
        impl $crate::graph::Stored for $type {
            fn type_name(&self) -> &'static str {
                $name
            }

            fn parameters(
                &self,
            ) -> $crate::graph::stored::json::Result<$crate::graph::stored::json::Value> {
                $crate::graph::stored::json::to_value(self)
            }
        }

        $crate::graph::stored::submit! {
            $crate::graph::stored::StoredType {
                name: $name,
                read: |value| {
                    let primitive: $type = $crate::graph::stored::json::from_value(value)?;
                    Ok(::std::sync::Arc::new(primitive))
                },
            }
        }
    };
}

#[doc(hidden)]
pub use inventory::submit;
#[doc(hidden)]
pub use serde_json as json;

/// The types that can be read, by name.
fn types() -> &'static HashMap<&'static str, &'static StoredType> {
    static TYPES: OnceLock<HashMap<&'static str, &'static StoredType>> = OnceLock::new();
    TYPES.get_or_init(|| {
        let types = inventory::iter::<StoredType>.into_iter();
        types.map(|known| (known.name, known)).collect()
    })
}

pub(super) fn serialize<S: Serializer>(
    primitive: &Arc<dyn Primitive>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let parameters = primitive.parameters().map_err(ser::Error::custom)?;
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(primitive.type_name(), &parameters)?;
    map.end()
}

pub(super) fn deserialize<'a, D: Deserializer<'a>>(
    deserializer: D,
) -> Result<Arc<dyn Primitive>, D::Error> {
    let mut entries = Map::deserialize(deserializer)?.into_iter();
    let (Some((name, parameters)), None) = (entries.next(), entries.next()) else {
        let reason = "an operation is one name with its parameters";
        return Err(de::Error::custom(reason));
    };
    let Some(known) = types().get(name.as_str()) else {
        let reason = format!(
            "the operation `{name}` is not known here; it may belong to another version, or to a \
             library that is not linked"
        );
        return Err(de::Error::custom(reason));
    };
    (known.read)(parameters)
        .map_err(|error| de::Error::custom(format_args!("operation `{name}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_types_have_one_name() {
        let count = inventory::iter::<StoredType>.into_iter().count();
        assert!(count > 60, "{count}");
        assert_eq!(types().len(), count);
    }

    #[test]
    fn what_is_not_known_is_an_error_that_names_it() {
        let read = |text: &str| {
            let mut json = serde_json::Deserializer::from_str(text);
            deserialize(&mut json).map(|primitive| primitive.name())
        };
        assert_eq!(read(r#"{"Matmul":null}"#).ok(), Some("matmul"));
        for (text, part) in [
            (r#"{"Nothing":null}"#, "`Nothing` is not known"),
            (r#"{"Matmul":null,"Sort":null}"#, "one name"),
            ("{}", "one name"),
            (r#"{"AsStrided":{"offset":"x"}}"#, "operation `AsStrided`"),
            ("[]", "map"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
