//! A diagnosis where it ends something: a command, a start, a call.

pub use crate::diagnosis::{Code, Diagnosis as Problem};
