//! Tokens for IAM access control of Amazon MSK: the address of a request to connect, signed by Signature Version 4. What is
//! signed with comes from where AWS's own programs look: variables, profile, web identity, container, instance.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Bytes;
use hyper::{Request, Response};
use reqsign_aws_core::{Credential, DefaultCredentialProvider};
use reqsign_core::{
    CommandExecute, CommandOutput, Context, Env, Error, FileRead, HttpSend, ProvideCredential as _,
    Result as Asked,
};

use outbound::http_client::HttpClient;

/// How long a token is valid, in AWS's own signers too.
const LIFETIME: Duration = Duration::from_secs(900);
/// How long one place may take that gives credentials: where there is none, nothing answers.
const PATIENCE: Duration = Duration::from_secs(3);
const SERVICE: &str = "kafka-cluster";

/// A token for the brokers of a region, and for how long it is valid.
pub(super) async fn token(region: &str, env: impl Env) -> Result<(String, Duration), String> {
    let web = Web(HttpClient::new().map_err(|problem| problem.reason)?);
    let context = Context::new()
        .with_file_read(Files)
        .with_http_send(web)
        .with_command_execute(Programs)
        .with_env(env);
    let found = DefaultCredentialProvider::new().provide_credential(&context).await;
    let credential = found.map_err(|e| format!("no AWS credentials: {e}"))?.ok_or(
        "no AWS credentials: no variable, profile, web identity, container or instance gives any",
    )?;
    let now = SystemTime::now();
    let left =
        credential.expires_in.map(|at| at.as_system_time().duration_since(now).unwrap_or_default());
    let life = left.unwrap_or(LIFETIME).min(LIFETIME);
    if life < Duration::from_secs(1) {
        return Err("the AWS credentials have expired".to_owned());
    }
    Ok((signed(region, &credential, now, life)?, life))
}

/// The token: the address, in Base64 that fits into one.
fn signed(
    region: &str,
    credential: &Credential,
    now: SystemTime,
    life: Duration,
) -> Result<String, String> {
    let Credential { access_key_id, secret_access_key, session_token, .. } = credential;
    let (id, secret) = (access_key_id.clone(), secret_access_key.clone());
    let identity = Credentials::new(id, secret, session_token.clone(), None, "makegood").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(life);
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|e| e.to_string())?;
    let address = format!("https://kafka.{region}.amazonaws.com/?Action={SERVICE}%3AConnect");
    let request =
        SignableRequest::new("GET", &address, std::iter::empty(), SignableBody::Bytes(&[]));
    let signature =
        sign(request.map_err(|e| e.to_string())?, &params.into()).map_err(|e| e.to_string())?;
    let mut request = Request::get(&address).body(()).map_err(|e| e.to_string())?;
    signature.into_parts().0.apply_to_request_http1x(&mut request);
    // Behind the signature, which does not cover it.
    let agent = concat!("&User-Agent=makegood%2F", env!("CARGO_PKG_VERSION"));
    Ok(URL_SAFE_NO_PAD.encode(format!("{}{agent}", request.uri())))
}

/// The machine's files.
#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Asked<Vec<u8>> {
        std::fs::read(path).map_err(|e| Error::unexpected(format!("cannot read {path}: {e}")))
    }
}

/// The places that answer over HTTP.
#[derive(Debug)]
struct Web(HttpClient);

impl HttpSend for Web {
    async fn http_send(&self, request: Request<Bytes>) -> Asked<Response<Bytes>> {
        self.0.send(request, PATIENCE).await.map_err(Error::unexpected)
    }
}

/// The programs that a profile names as its `credential_process`.
#[derive(Debug)]
struct Programs;

impl CommandExecute for Programs {
    async fn command_execute(&self, program: &str, args: &[&str]) -> Asked<CommandOutput> {
        let mut command = tokio::process::Command::new(program);
        let run = command.args(args).stdin(std::process::Stdio::null()).kill_on_drop(true).output();
        let output = run.await.map_err(|e| Error::unexpected(format!("{program}: {e}")))?;
        let status = output.status.code().unwrap_or(-1);
        Ok(CommandOutput { status, stdout: output.stdout, stderr: output.stderr })
    }
}
