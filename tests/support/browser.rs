//! A real browser: Chromium, led by WebDriver. `bin/test` installs it.

use std::fmt::Debug;
use std::path::Path;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use lab::servers::host::{PrivateFolder, free_port};
use lab::servers::process::{Launch, Server};
use serde_json::{Value, json};

use super::eventually;

/// What checks a page for what keeps people from reading it; `bin/test` fetches it.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/axe/axe.min.js");

/// A running browser with one page open.
pub struct Browser {
    pub page: Client,
    _driver: Server,
    _folder: PrivateFolder,
}

/// A command that WebDriver has and the library does not.
#[derive(Debug)]
struct Extra(&'static str, Value);

impl WebDriverCompatibleCommand for Extra {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &url::Url) -> (axum::http::Method, Option<String>) {
        (axum::http::Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    /// Starts one.
    pub async fn start() -> Browser {
        let folder = PrivateFolder::new("browser", None).unwrap();
        let port = free_port().unwrap();
        let launch = Launch {
            name: "chromedriver",
            command: vec!["chromedriver".into(), format!("--port={port}").into()],
            folder: folder.path().to_owned(),
            account: None,
            stop_signal: "TERM",
        };
        let driver = Server::start(launch).expect("chromedriver runs; bin/test installs it");
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let wanted = json!({
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": [
                // No sandbox: containers and root have none, and it opens nothing but our own page.
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--hide-scrollbars", "--window-size=1440,1000", profile,
            ] },
        });
        let Value::Object(wanted) = wanted else { unreachable!("it is an object") };
        let mut builder =
            ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(wanted);
        let at = format!("http://127.0.0.1:{port}");
        let page = eventually("a browser", || async { builder.connect(&at).await.ok() }).await;
        Browser { page, _driver: driver, _folder: folder }
    }

    /// Ends it with all its processes, which outlive the driver.
    pub async fn close(self) {
        self.page.close().await.unwrap();
    }

    /// Opens a path of a daemon's.
    pub async fn open(&self, address: &str, path: &str) {
        self.page.goto(&format!("http://{address}{path}")).await.unwrap();
    }

    /// What a script returns.
    pub async fn ask(&self, script: &str) -> Value {
        self.page.execute(script, Vec::new()).await.unwrap()
    }

    /// The text that people see.
    pub async fn text(&self) -> String {
        self.ask("return document.body.innerText").await.as_str().unwrap().to_owned()
    }

    /// Waits until people see some words.
    pub async fn shows(&self, words: &str) {
        let what = format!("the page to show: {words}");
        eventually(&what, || async { self.text().await.contains(words).then_some(()) }).await;
    }

    /// Waits until the verdict is this word.
    pub async fn verdict(&self, word: &str) {
        let what = format!("the page to say: {word}");
        let script =
            "const word = document.getElementById('word'); return word && word.textContent";
        eventually(&what, || async { (self.ask(script).await == word).then_some(()) }).await;
    }

    /// Asks the browser itself, by its developer tools' protocol.
    pub async fn tools(&self, command: &str, params: Value) -> Value {
        let body = json!({ "cmd": command, "params": params });
        self.page.issue_cmd(Extra("goog/cdp/execute", body)).await.unwrap()
    }

    /// Light or dark.
    pub async fn prefers(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.tools("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
    }

    /// How large its window is.
    pub async fn sized(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Whether scripts of pages run.
    pub async fn scripts(&self, run: bool) {
        self.tools("Emulation.setScriptExecutionDisabled", json!({ "value": !run })).await;
    }

    /// What the page's console has said since it was last asked.
    pub async fn console(&self) -> Vec<Value> {
        let said = self.page.issue_cmd(Extra("se/log", json!({ "type": "browser" }))).await;
        said.unwrap().as_array().cloned().unwrap_or_default()
    }

    /// Whether the page is wider than the window.
    pub async fn is_too_wide(&self) -> bool {
        let script =
            "const page = document.documentElement; return page.scrollWidth > page.clientWidth";
        self.ask(script).await == true
    }

    /// What keeps people from reading or using the page, after WCAG 2.2 AA and good practice.
    pub async fn barriers(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(AXE).expect("axe-core is there; bin/test fetches it");
        self.page.execute(&axe, Vec::new()).await.unwrap();
        let script = "const done = arguments[0]; axe.run(document).then((found) => done(found.violations.map(\
             (v) => v.id + ': ' + v.nodes.map((n) => n.html + ' ' + n.failureSummary).join('; '))))";
        let found = self.page.execute_async(script, Vec::new()).await.unwrap();
        serde_json::from_value(found).unwrap()
    }

    /// Keeps a picture of the whole page, if somebody named a folder for them in MAKEGOOD_TEST_SHOTS.
    pub async fn shot(&self, name: &str, width: u32) {
        let Some(folder) = std::env::var_os("MAKEGOOD_TEST_SHOTS") else { return };
        self.sized(width, 400).await;
        let height = self.ask("return document.documentElement.scrollHeight").await;
        self.sized(width, u32::try_from(height.as_u64().unwrap()).unwrap()).await;
        let picture = self.page.screenshot().await.unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), picture).unwrap();
        self.sized(1440, 1000).await;
    }
}
