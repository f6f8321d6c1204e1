//! The page at three in the morning: what is wrong in a short sentence, why, what mends it to be copied, that nothing
//! is lost; and nothing that is not known is drawn as if it were well.

use serde_json::json;

use crate::reconcile::{job_section, recorded};
use crate::support::browser::Browser;
use crate::support::daemon::Daemon;
use crate::support::events::payments;
use crate::support::eventually;
use crate::support::http::{address, get};
use crate::support::rig::Rig;

/// What Rust and its libraries call things, and no person does.
const JARGON: [&str; 12] = [
    "Some(",
    "None",
    "Ok(",
    "Err(",
    "(Local:",
    "(Broker:",
    "AllBrokersDown",
    "BrokerTransportFailure",
    "KafkaError",
    "PoolError",
    "Timestamp(",
    "StdErr",
];

/// Everything that a daemon tells anybody is in words.
pub async fn assert_in_words(browser: &Browser, daemon: &Daemon, at: &str) {
    let json = get(at, "/api/v1/status").await.body;
    for (place, text) in [("page", browser.text().await), ("status", json), ("log", daemon.log())] {
        for word in JARGON {
            let line = text.lines().find(|line| line.contains(word));
            assert!(line.is_none(), "{word} on the {place}: {line:?}");
        }
    }
}

async fn text(browser: &Browser, selector: &str) -> String {
    let script = format!(
        "const e = document.querySelector('{selector}'); return e ? e.textContent.trim() : ''"
    );
    browser.ask(&script).await.as_str().unwrap().to_owned()
}

/// What is drawn green.
async fn green(browser: &Browser) -> Vec<String> {
    let script =
        "return [...document.querySelectorAll('.hop.ok h3, .badge.ok')].map((e) => e.textContent)";
    serde_json::from_value(browser.ask(script).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_shortly_once_and_with_what_mends_it() {
    let rig = Rig::new(1).await;
    let rename = "ALTER TABLE student_course_purchases RENAME purchased_at TO purchased_on";
    rig.client.batch_execute(rename).await.unwrap();
    recorded(&rig, 1).await;
    rig.pay(&payments(5)).await;
    let job = job_section("");
    let daemon = Daemon::start(&rig.config_file(&rig.url(), "", &job), 0);
    let at = address(&daemon).await;
    let browser = Browser::start().await;
    browser.open(&at, "/").await;
    browser.verdict("held").await;
    browser.shows("5 records wait in Kafka").await;
    let said = text(&browser, "#verdict-name").await;
    assert!(
        said.starts_with("No purchase has been made since ") && said.ends_with(" UTC."),
        "{said}"
    );
    let mend = text(&browser, "#verdict .next code").await;
    assert_eq!(
        mend,
        "ALTER TABLE student_course_purchases RENAME COLUMN purchased_on TO purchased_at;"
    );
    let copy = text(&browser, "#verdict .next button").await;
    assert!(copy.starts_with("Copy"), "{copy}");
    let safe = text(&browser, ".safe").await;
    assert!(safe.starts_with("No payment is lost: 5 records wait in Kafka"), "{safe}");
    // The reconciler has an error of its own, about another file.
    let script = "return [...document.querySelectorAll('#live p, #live li, #live td, #live h2')]\
                  .filter((e) => !e.closest('#events, .notice') && e.textContent.includes('42703')).map((e) => e.outerHTML)";
    let said: Vec<String> = serde_json::from_value(browser.ask(script).await).unwrap();
    assert_eq!(said.len(), 1, "the same error once: {said:#?}");
    assert!(!green(&browser).await.contains(&"Purchases".to_owned()));
    let counted = text(&browser, ".hop:last-of-type .waits").await;
    assert!(counted.starts_with("– paid, not purchased: not counted yet, and"), "{counted}");
    for scheme in ["light", "dark"] {
        browser.prefers(scheme).await;
        assert_eq!(browser.barriers().await, Vec::<String>::new(), "{scheme}");
        browser.shot(&format!("held-{scheme}"), 1440).await;
    }
    browser.shot("held-narrow", 390).await;
    assert_in_words(&browser, &daemon, &at).await;
    rig.client.batch_execute(&mend).await.unwrap();
    eventually("the purchases", || async {
        (rig.number("SELECT count(*) FROM student_course_purchases").await >= 5).then_some(())
    })
    .await;
    browser.shows("paid, not purchased · counted ").await;
    drop(daemon);

    // Kafka is away.
    let dead = |text: &str, from: &str| rig.config(&rig.url(), "", &job).replace(from, text);
    let deaf = dead("127.0.0.1:1", &rig.world.kafka.bootstrap());
    let (daemon, at) = started(&rig, &deaf).await;
    browser.open(&at, "/").await;
    browser.shows("how much waits is not known").await;
    assert!(!green(&browser).await.iter().any(|name| name == "Kafka" || name == "Purchases"));
    let said = text(&browser, "#verdict-name").await;
    assert!(said.starts_with("Kafka has not answered since "), "{said}");
    browser.shot("kafka-down", 1440).await;
    assert_in_words(&browser, &daemon, &at).await;
    drop(daemon);

    // PostgreSQL never answered.
    let blind = dead("postgres://nobody@127.0.0.1:1/shop", &rig.url());
    let (daemon, at) = started(&rig, &blind).await;
    browser.open(&at, "/").await;
    browser.verdict("unreachable").await;
    let said = text(&browser, "#verdict-name").await;
    assert!(said.starts_with("PostgreSQL has not answered since "), "{said}");
    assert_eq!(green(&browser).await, ["Kafka"; 0]);
    for claim in
        ["No record waits for a decision", "No job compares", "No partition has", "was read"]
    {
        assert!(!browser.text().await.contains(claim), "{claim}");
    }
    assert_eq!(browser.barriers().await, Vec::<String>::new());
    browser.shot("postgres-down", 1440).await;
    assert_in_words(&browser, &daemon, &at).await;
    assert_eq!(browser.ask("return document.querySelectorAll('main h1').length").await, json!(1));
    browser.close().await;
}

async fn started(rig: &Rig, config: &str) -> (Daemon, String) {
    let path = rig.path(&format!("away-{}.toml", config.len()));
    std::fs::write(&path, config).unwrap();
    let daemon = Daemon::start(&path, config.len());
    let at = address(&daemon).await;
    (daemon, at)
}
