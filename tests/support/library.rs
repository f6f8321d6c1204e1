//! makegood's own library on a test's database, for promises below the program.

use makegood::config::Postgres;
use makegood::store::Store;

/// A store on a database, as a daemon has one.
pub fn store(url: &str) -> Store {
    let settings = Postgres::from_url(url).unwrap();
    Store::open(&settings, "makegood test", 4).unwrap()
}
