//! The command that starts a daemon on this machine.

use std::path::Path;
use std::sync::LazyLock;

/// Where a unit is installed: by hand, by a package, by a package of older systems.
const UNITS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// `systemctl start makegood` where systemd runs and has our unit, else `makegood run`.
pub fn start() -> &'static str {
    static IS_UNIT: LazyLock<bool> = LazyLock::new(|| {
        Path::new("/run/systemd/system").exists()
            && UNITS.iter().any(|folder| Path::new(folder).join("makegood.service").exists())
    });
    if *IS_UNIT { "systemctl start makegood" } else { "makegood run" }
}
