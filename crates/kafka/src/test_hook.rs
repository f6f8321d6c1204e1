//! A way for tests to stop a member's thread, as a deadlock inside the client would. Does nothing
//! unless `MAKEGOOD_TEST_WEDGE` named a file when the client was made; never set it in production.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// The variable with the file's path.
const VARIABLE: &str = "MAKEGOOD_TEST_WEDGE";

/// The hook of one client.
pub(super) struct Wedge {
    file: Option<PathBuf>,
    client_id: String,
}

impl Wedge {
    pub(super) fn of(client_id: &str) -> Wedge {
        let file = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        Wedge { file, client_id: client_id.to_owned() }
    }

    /// Stops the thread for as long as the file exists and has this client's id, or `*`, in a line.
    pub(super) fn stop_if_told(&self) {
        let Some(file) = &self.file else { return };
        let is_meant = |line: &str| line == "*" || line == self.client_id;
        while fs::read_to_string(file).is_ok_and(|text| text.lines().any(is_meant)) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
