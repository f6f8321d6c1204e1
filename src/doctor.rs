//! Looks at everything that makegood rests on, and changes nothing: what an operator would check before
//! the first start and when something does not work. Each file checks one part and answers with
//! [`Check`]s; the rules that need no look are in [`pure`](crate::pure).

pub mod mapping;
pub mod tryout;
pub mod waiting;

pub use crate::pure::checkup::{Check, Level};
