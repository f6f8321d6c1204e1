//! Steps that the proof has fail, as this crate's faults.

use failpoints::{Failure, reached};

use super::Fault;

/// A step before a statement: refused, or the connection breaks.
pub async fn at(point: &str) -> Result<(), Fault> {
    match reached(point).await {
        None => Ok(()),
        Some(Failure::Error) => Err(Fault::Refused {
            sqlstate: "40001".to_owned(),
            message: format!("failpoint {point}"),
            about: super::FaultSubject::default(),
        }),
        Some(Failure::Drop) => Err(lost(point)),
    }
}

/// A step after one: what was done is done, and its answer is lost.
pub async fn answered<T>(point: &str, answer: Result<T, Fault>) -> Result<T, Fault> {
    match reached(point).await {
        None => answer,
        Some(_) => Err(lost(point)),
    }
}

fn lost(point: &str) -> Fault {
    Fault::Lost { cause: format!("failpoint {point}") }
}
