//! A certificate authority of a test's own, by the openssl command.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with `NAME.pem` and `NAME.key` of everything it issued; its own are `ca.pem` and `ca.key`.
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes one in a new folder.
    pub fn new(folder: &Path) -> Authority {
        fs::create_dir_all(folder).unwrap();
        // openssl's own configuration has extensions that do not fit a server.
        fs::write(folder.join("cnf"), "[req]\ndistinguished_name = dn\n[dn]\n").unwrap();
        let authority = Authority { folder: folder.to_owned() };
        authority.request("ca", "ca", &["-addext", "basicConstraints=critical,CA:TRUE"]);
        authority
    }

    /// Issues a certificate to a common name; both servers and clients take it.
    pub fn issue(&self, file: &str, name: &str) {
        let usual =
            vec!["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1"];
        let leaf = vec!["-addext", "basicConstraints=critical,CA:FALSE"];
        self.request(file, name, &[usual, leaf].concat());
    }

    /// Signs a certificate anew, by its own key, so that it has ended yesterday.
    pub fn let_expire(&self, file: &str) {
        let (key, pem) = (format!("{file}.key"), format!("{file}.pem"));
        self.openssl(&["x509", "-in", &pem, "-signkey", &key, "-days", "-1", "-out", &pem]);
    }

    fn request(&self, file: &str, name: &str, more: &[&str]) {
        let (key, pem) = (format!("{file}.key"), format!("{file}.pem"));
        let subject = format!("/CN={name}");
        let usual = ["req", "-x509", "-config", "cnf", "-newkey", "ec", "-nodes", "-days", "2"];
        let curve = ["-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", &key, "-out", &pem];
        self.openssl(&[usual.as_slice(), &curve, &["-subj", &subject], more].concat());
        fs::set_permissions(self.path(&key), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Writes a key anew, encrypted with a password.
    pub fn encrypt(&self, file: &str, to: &str, password: &str) {
        let (key, pass) = (format!("{file}.key"), format!("pass:{password}"));
        let usual = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", &key];
        self.openssl(&[usual.as_slice(), &["-passout", &pass, "-out", to]].concat());
        fs::set_permissions(self.path(to), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Key and certificate in one file, as Kafka wants a PEM store.
    pub fn store(&self, file: &str) -> PathBuf {
        let part = |ending: &str| fs::read_to_string(self.path(&format!("{file}.{ending}")));
        let store = self.path(&format!("{file}.store"));
        fs::write(&store, part("key").unwrap() + &part("pem").unwrap()).unwrap();
        store
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    fn openssl(&self, args: &[&str]) {
        let mut command = Command::new("openssl");
        let done = command.current_dir(&self.folder).args(args).output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}
