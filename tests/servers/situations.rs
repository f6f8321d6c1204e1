//! Situations that people were in, as data: tables, records and what is right. Each file in `situations/` is one.
//!
//! A step runs its `sql` as the owner of the host's tables, sends the texts that `records` selects, and waits until
//! each query of `right` gives its value. The daemon starts once the first step's records are sent.

use std::fs;
use std::sync::Mutex;

use makegood::store::mapping::FILES;
use serde::Deserialize;
use tokio_postgres::Row;

use crate::commands::{run_with, stdout};
use crate::support::daemon::Daemon;
use crate::support::events::raw;
use crate::support::eventually;
use crate::support::rig::Rig;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Situation {
    /// What it is about, for people.
    #[serde(rename = "what")]
    _what: String,
    /// More for the `[[inbox]]` section.
    #[serde(default)]
    route: String,
    /// A folder of this repository with the mapping.
    mapping: Option<String>,
    /// What the daemon's log must never say.
    #[serde(default)]
    never: Vec<String>,
    step: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Ends the daemon and starts it with this in its `[[inbox]]` section.
    #[serde(default)]
    route: Option<String>,
    /// Likewise with the shipped mapping, changed: in a file one text is put in place of another.
    #[serde(default)]
    edit: Vec<(String, String, String)>,
    #[serde(default)]
    sql: String,
    /// A query; its only column is the records' text, or their bytes.
    #[serde(default)]
    records: String,
    /// Queries with the value that each must give, as text.
    #[serde(default)]
    right: Vec<(String, String)>,
    /// Commands, and words of what each prints.
    #[serde(default)]
    says: Vec<(Vec<String>, String)>,
}

async fn comes_out_right(name: &str) {
    let file = format!("{}/tests/servers/situations/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let situation: Situation = toml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let rig = Rig::new(1).await;
    let mut daemon: Option<Daemon> = None;
    let mapping = situation
        .mapping
        .as_ref()
        .map(|folder| format!("mapping = \"{}/{folder}\"\n", env!("CARGO_MANIFEST_DIR")));
    let mut route = mapping.unwrap_or_default() + &situation.route;
    for step in &situation.step {
        // A daemon of other settings is gone before the step's SQL asks for anything: it would answer in its way.
        if (step.route.is_some() || !step.edit.is_empty())
            && let Some(before) = daemon.take()
        {
            before.stop();
        }
        rig.client.batch_execute(&step.sql).await.unwrap();
        if !step.records.is_empty() {
            let rows = rig.client.query(&step.records, &[]).await.unwrap();
            let record = |row: &Row| match row.try_get::<_, &[u8]>(0) {
                Ok(bytes) => raw(None, Some(bytes)),
                Err(_) => raw(None, Some(row.get::<_, &str>(0).as_bytes())),
            };
            rig.send_all(None, &rows.iter().map(record).collect::<Vec<_>>()).await;
        }
        if !step.edit.is_empty() {
            route += &edited(&rig, &step.edit);
        }
        if let Some(other) = &step.route {
            route = other.clone();
        }
        daemon.get_or_insert_with(|| rig.daemon_with(&route));
        for (query, value) in &step.right {
            gives(&rig, query, value).await;
        }
        for (args, words) in &step.says {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let output = run_with(&rig, &route, &args).await;
            assert!(stdout(&output).contains(words), "{args:?}: {}", stdout(&output));
        }
    }
    let log = daemon.map(|daemon| daemon.log()).unwrap_or_default();
    for words in &situation.never {
        assert!(!log.contains(words), "{words}");
    }
}

/// Writes the shipped mapping into the test's folder, changed; returns the setting that names it.
fn edited(rig: &Rig, changes: &[(String, String, String)]) -> String {
    let folder = rig.path("mapping");
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in FILES {
        let mut text = text.to_owned();
        for (_, old, new) in changes.iter().filter(|(file, ..)| file == name) {
            assert!(text.contains(old), "{name} has no {old}");
            text = text.replace(old, new);
        }
        fs::write(folder.join(name), text).unwrap();
    }
    format!("\nmapping = \"{}\"\n", folder.display())
}

async fn gives(rig: &Rig, query: &str, value: &str) {
    let as_text = format!("SELECT ({query})::text");
    let last = Mutex::new(None);
    eventually(&format!("{value} from {query}"), || async {
        let row = rig.client.query_one(&as_text, &[]).await.unwrap();
        let found: Option<String> = row.get(0);
        let is_right = found.as_deref() == Some(value);
        if !is_right && *last.lock().unwrap() != found {
            eprintln!("so far {found:?} from {query}");
            *last.lock().unwrap() = found;
        }
        is_right.then_some(())
    })
    .await;
}

/// One test a file, so that each has a name and a verdict of its own.
macro_rules! situations {
    ($($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                comes_out_right(stringify!($name)).await;
            }
        )*

        #[test]
        fn every_file_is_tried() {
            let folder = format!("{}/tests/servers/situations", env!("CARGO_MANIFEST_DIR"));
            for entry in fs::read_dir(folder).unwrap() {
                let file = entry.unwrap().file_name().into_string().unwrap();
                let tried = [$(concat!(stringify!($name), ".toml")),*];
                assert!(tried.contains(&file.as_str()), "nothing tries {file}");
            }
        }
    };
}

situations! {
    a_cart_of_three_courses
    a_purchase_contradicts_its_payment
    a_rule_refuses_one_of_many
    a_status_that_nobody_named
    a_student_comes_late
    a_type_in_other_clothes
    events_in_envelopes
    money_in_minor_units
    money_with_more_zeros
    most_were_bought_already
    two_fifths_have_no_course
}
