//! The embedded default: private servers, a load with a ledger, the promise made visible.
