//! Whether others may read a file that holds a secret. libpq refuses such a key; the same goes for every secret here.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// What to do about it.
pub const FIX: &str = "chmod 600 it, or 640 with a group of its own";

/// Whether everybody on this machine may read the file: its mode says so, and every folder above it lets them pass.
/// What a container is handed read-only, as Compose and Kubernetes hand out secrets, is that container's alone.
pub fn to_everybody(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    let mode = |path: &Path| fs::metadata(path).map_or(0, |data| data.permissions().mode());
    let folders_let_pass = path.ancestors().skip(1).all(|folder| mode(folder) & 0o001 != 0);
    mode(&path) & 0o004 != 0 && folders_let_pass && !is_handed_in(&path)
}

/// What libpq says of a private key: nobody but its owner, or root's group.
pub fn key_to_others(path: &Path) -> bool {
    let Ok(data) = fs::metadata(path) else { return false };
    let allowed = if data.uid() == 0 { 0o740 } else { 0o700 };
    data.is_file() && data.permissions().mode() & 0o777 & !allowed != 0 && !handed(path)
}

fn handed(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| is_handed_in(&path))
}

/// Whether the file lies on a mount of its own, below the root, that nobody may write to.
fn is_handed_in(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    is_on_read_only_mount(path, &mounts)
}

fn is_on_read_only_mount(path: &Path, mounts: &str) -> bool {
    let mount = |line: &str| {
        let mut fields = line.split(' ').skip(4);
        Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
    };
    let around = mounts.lines().filter_map(mount).filter(|(at, _)| path.starts_with(at));
    let nearest = around.max_by_key(|(at, _)| at.len());
    nearest.is_some_and(|(at, how)| at != "/" && how.split(',').any(|option| option == "ro"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_read_only_mount_of_its_own_is_the_containers_alone() {
        let mounts = "1 0 8:1 / / ro,relatime - ext4 x rw\n2 1 0:5 / /tmp rw - tmpfs t rw\n\
                      3 1 8:1 /s /run/secrets/a ro - ext4 x rw\n4 1 0:6 / /etc/secrets ro,nosuid - tmpfs t rw\n";
        let handed = |path: &str| is_on_read_only_mount(Path::new(path), mounts);
        assert!(handed("/run/secrets/a") && handed("/etc/secrets/..data/b"));
        assert!(!handed("/run/secrets/b") && !handed("/tmp/a") && !handed("/etc/a"));
    }
}
