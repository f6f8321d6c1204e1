//! libpq's `sslmode`, on rustls.
//!
//! | sslmode | encrypted | chain verified | host name verified |
//! |---|---|---|---|
//! | `disable` | no | | |
//! | `prefer` | if the server can | no | no |
//! | `require` | yes | if `sslrootcert` is given | no |
//! | `verify-ca` | yes | yes | no |
//! | `verify-full` | yes | yes | yes |
//!
//! Towards another machine it is `verify-full` where nobody says otherwise. Without `sslrootcert` the roots this machine
//! trusts count. A server certificate that stands in the `sslrootcert` file itself is trusted as it is, for as long as it
//! is valid: a self-signed one is given so.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::client;
use config::{Postgres, RootCert, SslMode};
use rules::problem::{Code, Problem};

/// How connections to one database are protected.
#[derive(Clone)]
pub enum TlsMode {
    /// Not at all: a Unix socket, this machine, or `sslmode=disable`.
    Plain,
    /// Encrypted if the server can.
    Opportunistic(MakeRustlsConnect),
    /// Encrypted, or not at all.
    Required(MakeRustlsConnect),
}

/// What is verified about the server's certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

/// Whether connections to a database stay on this machine.
pub fn is_local(p: &Postgres) -> bool {
    reach(p) != Reach::Network
}

/// How far away a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Unix sockets only, where PostgreSQL has no TLS.
    Socket,
    /// This machine.
    Loopback,
    /// At least one host elsewhere.
    Network,
}

fn reach(p: &Postgres) -> Reach {
    let loopback = |host: &String| {
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    let socket = |host: &String| host.starts_with('/');
    match &p.hosts {
        hosts if hosts.iter().all(socket) => Reach::Socket,
        hosts if hosts.iter().all(|host| socket(host) || loopback(host)) => Reach::Loopback,
        _ => Reach::Network,
    }
}

/// Decides the protection. Towards another machine nothing is believed unless somebody said so.
pub(super) fn mode(p: &Postgres) -> Result<TlsMode, Problem> {
    let sslmode = match (reach(p), p.sslmode) {
        (Reach::Socket, _) => SslMode::Disable,
        (_, Some(said)) => said,
        (Reach::Loopback, None) if p.sslcert.is_some() => SslMode::Require,
        (Reach::Loopback, None) => SslMode::Disable,
        (Reach::Network, None) => SslMode::VerifyFull,
    };
    let roots = p.sslrootcert.as_ref();
    let check = match sslmode {
        SslMode::Disable => return Ok(TlsMode::Plain),
        SslMode::Prefer => return Ok(TlsMode::Opportunistic(connector(Check::Nothing, None, p)?)),
        SslMode::Require if roots.is_none() => Check::Nothing,
        SslMode::Require | SslMode::VerifyCa => Check::Chain,
        SslMode::VerifyFull => Check::ChainAndName,
    };
    Ok(TlsMode::Required(connector(check, roots, p)?))
}

fn connector(
    check: Check,
    roots: Option<&RootCert>,
    p: &Postgres,
) -> Result<MakeRustlsConnect, Problem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let named = match (check, roots) {
        (Check::Nothing, _) => Vec::new(),
        (_, Some(RootCert::File(path))) => from_file(path)?,
        (_, Some(RootCert::System) | None) => system()?,
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(named.iter().cloned());
    // Trusting a certificate as it is makes sense only where the operator chose the file.
    let pinned = if matches!(roots, Some(RootCert::File(_))) { named } else { Vec::new() };
    let verifier = Verifier { provider: provider.clone(), check, roots: store, pinned };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem::new(Code::System, format!("TLS cannot be set up: {error}")))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let config = match client::identity(p)? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| client::unfit(p, &error.to_string()))?,
    };
    Ok(MakeRustlsConnect::new(config))
}

/// Trusted as it is, but not for longer than it says of itself.
fn is_valid(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let read = Certificate::from_der(certificate.as_ref());
    let validity = read.map_err(|_| CertificateError::BadEncoding)?.tbs_certificate.validity;
    let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
    if now.as_secs() < seconds(validity.not_before) {
        return Err(CertificateError::NotValidYet.into());
    }
    if now.as_secs() > seconds(validity.not_after) {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

fn from_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let why = match read {
        Ok(found) if !found.is_empty() => return Ok(found),
        Ok(_) => "no certificate in it".to_owned(),
        Err(error) => error.to_string(),
    };
    let cause = format!("cannot use sslrootcert {}: {why}", path.display());
    Err(Problem::new(Code::Config, cause)
        .advice("name a readable PEM file with the root certificate"))
}

fn system() -> Result<Vec<CertificateDer<'static>>, Problem> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        let cause = "this machine trusts no certificate authority, so nothing can be verified";
        return Err(Problem::new(Code::Config, cause)
            .advice("install the package ca-certificates, or name a file with sslrootcert"));
    }
    Ok(found)
}

/// Checks the server's certificate as far as [`Check`] says; the handshake's signature always.
#[derive(Clone)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    check: Check,
    roots: RootCertStore,
    pinned: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check == Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if self.pinned.iter().any(|pinned| pinned.as_ref() == end_entity.as_ref()) {
            is_valid(end_entity, now)?;
        } else {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        if self.check == Check::ChainAndName {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
