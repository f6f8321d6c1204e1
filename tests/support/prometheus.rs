//! A real Prometheus that scrapes a daemon. `bin/test` fetches it; MAKEGOOD_PROMETHEUS names another folder.

use std::fs;
use std::path::{Path, PathBuf};

use lab::servers::host::{PrivateFolder, free_port};
use lab::servers::process::{Launch, Server};
use serde_json::Value;

use super::http::get;

/// `prometheus` or `promtool`.
pub fn tool(name: &str) -> PathBuf {
    let named = std::env::var_os("MAKEGOOD_PROMETHEUS").map(PathBuf::from);
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/prometheus/usr/bin");
    let folder = named.unwrap_or(fetched);
    let tool = folder.join(name);
    // Where the distribution has installed it.
    if tool.exists() { tool } else { PathBuf::from(name) }
}

/// A running Prometheus; ended when dropped.
pub struct Prometheus {
    // Declared, and so dropped, before the folder it works in.
    _server: Server,
    _folder: PrivateFolder,
    address: String,
}

impl Prometheus {
    /// Starts one that scrapes an address each second, under the job's name.
    pub fn start(target: &str) -> Prometheus {
        let folder = PrivateFolder::new("prometheus", None).unwrap();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: makegood\n    static_configs:\n      - targets: ['{target}']\n"
        );
        fs::write(&config, text).unwrap();
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let data = folder.path().join("data");
        let command = vec![
            tool("prometheus").into(),
            format!("--config.file={}", config.display()).into(),
            format!("--storage.tsdb.path={}", data.display()).into(),
            format!("--web.listen-address={address}").into(),
        ];
        let launch = Launch {
            name: "Prometheus",
            command,
            folder: folder.path().to_owned(),
            account: None,
            stop_signal: "TERM",
        };
        Prometheus { _server: Server::start(launch).unwrap(), _folder: folder, address }
    }

    /// Evaluates an expression now: the values of its series, NaN left out. `Err` while it does not answer.
    pub async fn query(&self, expression: &str) -> Result<Vec<f64>, String> {
        let encoded: String = expression.bytes().map(|b| format!("%{b:02X}")).collect();
        if tokio::net::TcpStream::connect(&self.address).await.is_err() {
            return Err("Prometheus does not listen yet".to_owned());
        }
        let answer = get(&self.address, &format!("/api/v1/query?query={encoded}")).await;
        if answer.status == 503 {
            return Err("Prometheus is not ready".to_owned());
        }
        let answer: Value = answer.json();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |one: &Value| one["value"][1].as_str()?.parse::<f64>().ok();
        Ok(series.iter().filter_map(value).filter(|value| !value.is_nan()).collect())
    }
}
