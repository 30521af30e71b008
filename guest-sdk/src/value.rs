//! What the values of variables and of hash tables have in common: they are made of Rust's own.

/// `From` for a `Value` in scope, each type into its case.
macro_rules! from {
    ($($type:ty => $value:ident,)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Value {
                Value::$value(value.into())
            }
        }
    )*};
}

pub(crate) use from;
