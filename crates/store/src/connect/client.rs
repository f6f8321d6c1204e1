//! The client's certificate and its key, for servers that ask for them.

use std::fs;
use std::path::Path;

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::ExposeSecret as _;

use config::{Postgres, exposed};
use rules::problem::{Code, Problem};

/// How an encrypted key begins.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// How one is encrypted in the older way, which only OpenSSL knows.
const OLD_WAY: &str = "Proc-Type: 4,ENCRYPTED";

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What `sslcert` and `sslkey` name, read anew.
pub(super) fn identity(p: &Postgres) -> Result<Option<Identity>, Problem> {
    let (Some(certificate), Some(key)) = (&p.sslcert, &p.sslkey) else { return Ok(None) };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("sslcert", certificate, &error.to_string()))?;
    Ok(Some((chain, private_key(p, key)?)))
}

fn private_key(p: &Postgres, path: &Path) -> Result<PrivateKeyDer<'static>, Problem> {
    if exposed::key_to_others(path) {
        let cause = format!("sslkey {} can be read by others", path.display());
        return Err(Problem::new(Code::Config, cause).advice(exposed::FIX));
    }
    let text = fs::read_to_string(path).map_err(|e| unreadable("sslkey", path, &e.to_string()))?;
    if text.contains(OLD_WAY) {
        let why = "it is encrypted in a way that only OpenSSL reads";
        let fix = format!(
            "openssl pkcs8 -topk8 -v2 aes-256-cbc -in {0} -out {0}.new, and name that",
            path.display()
        );
        return Err(unreadable("sslkey", path, why).advice(fix));
    }
    if !text.contains(ENCRYPTED) {
        let read = PrivateKeyDer::from_pem_slice(text.as_bytes());
        return read.map_err(|error| unreadable("sslkey", path, &error.to_string()));
    }
    let Some(password) = &p.sslpassword else {
        let problem = unreadable("sslkey", path, "it is encrypted");
        return Err(problem.advice("give its password as sslpassword"));
    };
    let document = SecretDocument::from_pem(&text)
        .map_err(|error| unreadable("sslkey", path, &error.to_string()))?
        .1;
    let opened = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .and_then(|key| key.decrypt(password.expose_secret()))
        .map_err(|_| unreadable("sslkey", path, "sslpassword does not open it"))?;
    Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into())
}

fn unreadable(what: &str, path: &Path, why: &str) -> Problem {
    let cause = format!("cannot use {what} {}: {why}", path.display());
    Problem::new(Code::Config, cause).advice("name a PEM file that this user may read")
}

/// What was read does not go together.
pub(super) fn unfit(p: &Postgres, why: &str) -> Problem {
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|p| p.display().to_string());
    let (certificate, key) = (path(&p.sslcert), path(&p.sslkey));
    let cause = format!(
        "sslcert {} and sslkey {} do not go together: {why}",
        certificate.unwrap_or_default(),
        key.unwrap_or_default()
    );
    Problem::new(Code::Config, cause).advice("name the key that the certificate was made for")
}
