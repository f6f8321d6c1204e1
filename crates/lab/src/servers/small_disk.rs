//! A disk of a few hundred megabytes in memory, to be filled.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::host::Account;
use super::process::run;
use rules::problem::{Code, Problem};

/// A mounted tmpfs; dropping it unmounts it and removes its folder and the one around it.
#[derive(Debug)]
pub struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    /// Whether we may mount one: root may.
    pub fn is_allowed() -> bool {
        Account::current().is_ok_and(|account| account.user == 0)
            && Path::new("/bin/mount").exists()
    }

    /// Mounts one at a folder that is made for it.
    pub fn mount(
        place: &Path,
        megabytes: u32,
        owner: Option<Account>,
    ) -> Result<SmallDisk, Problem> {
        fs::create_dir_all(place).map_err(|e| system(format!("{}: {e}", place.display())))?;
        let mut options = format!("size={megabytes}m,mode=0700");
        if let Some(account) = owner {
            options.push_str(&format!(",uid={},gid={}", account.user, account.group));
        }
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "makegood-lab"]).arg(place);
        run(&mut mount, "mounting a small disk")?;
        Ok(SmallDisk { place: place.to_owned() })
    }

    /// Fills it to the last block.
    pub fn fill(&self) -> Result<(), Problem> {
        let mut fill = Command::new("dd");
        let mut to = OsString::from("of=");
        to.push(self.filler());
        fill.args(["if=/dev/zero", "bs=64k", "status=none"]).arg(to);
        // It ends by finding no room, which is what it was for.
        let _ = fill.output().map_err(|e| system(format!("cannot fill a disk: {e}")))?;
        Ok(())
    }

    /// Makes room again.
    pub fn free(&self) -> Result<(), Problem> {
        fs::remove_file(self.filler()).map_err(|e| system(format!("cannot free a disk: {e}")))
    }

    fn filler(&self) -> PathBuf {
        self.place.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is being killed may still have it open.
        let _ = Command::new("umount").arg("-l").arg(&self.place).output();
        let _ = self.place.parent().map(fs::remove_dir_all);
    }
}

fn system(cause: String) -> Problem {
    Problem::new(Code::System, cause)
}
