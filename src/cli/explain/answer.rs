//! What the routes know of an id, for people and for programs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::print;
use crate::explain::{self, Life, MissingPart, Trace, sentence, traces};

/// What one route knows.
pub type RouteAnswer = (String, Life);

/// What could not be looked at, a line each.
pub fn unseen(answers: &[RouteAnswer]) -> Vec<String> {
    let lines = answers.iter().flat_map(|(_, life)| life.unseen.iter().map(MissingPart::line));
    lines.collect::<BTreeSet<_>>().into_iter().collect()
}

/// A sentence of each route that knows anything, and what became of it.
pub fn screen(id: &str, answers: &[RouteAnswer]) -> String {
    let sentences = if let [only] = answers {
        format!("{id}: {}", sentence(&only.1))
    } else {
        let of = |(route, life): &RouteAnswer| format!("{route}: {}", sentence(life));
        format!("{id}\n{}", answers.iter().map(of).collect::<Vec<_>>().join("\n"))
    };
    let payments: BTreeSet<String> = answers.iter().flat_map(|(_, life)| life.payments()).collect();
    let several = payments.len() > 1;
    let rows = traces(answers).into_iter().map(|t| {
        let mut cells = vec![
            print::or_dash(t.at.map(print::short)),
            t.part.clone(),
            t.what.clone(),
            explain::details(&t.contents),
        ];
        if several {
            cells.insert(1, print::or_dash(t.business_key.clone()));
        }
        cells
    });
    let headings: &[&str] = match several {
        true => &["WHEN (UTC)", "PAYMENT", "WHERE", "WHAT", "DETAILS"],
        false => &["WHEN (UTC)", "WHERE", "WHAT", "DETAILS"],
    };
    let said = print::visible(&sentences, true);
    format!("{}\n\n{}", print::folded(&said), print::table_text(headings, rows))
}

/// The same as JSON.
pub fn document(id: &str, answers: &[RouteAnswer]) -> Value {
    let sentences: Vec<String> = match answers {
        [only] => vec![sentence(&only.1)],
        all => all.iter().map(|(route, life)| format!("{route}: {}", sentence(life))).collect(),
    };
    json!({
        "id": id, "sentence": sentences.join("\n"), "events": objects(answers), "unseen": unseen(answers),
        "routes": answers.iter().map(route).collect::<Vec<_>>(),
    })
}

fn route((name, life): &RouteAnswer) -> Value {
    let payment =
        |key: &String| json!({ "business_key": key, "sentence": sentence(&life.of(key)) });
    json!({
        "route": name, "sentence": sentence(life), "row": life.row,
        "payments": life.payments().iter().map(payment).collect::<Vec<_>>(),
        "more": life.more, "may_be_more": life.may_be_more,
    })
}

/// An object for each.
pub fn objects(answers: &[RouteAnswer]) -> Vec<Value> {
    let object = |t: &Trace| {
        json!({
            "at": t.at, "part": t.part, "what": t.what, "business_key": t.business_key,
            "contents": t.contents,
        })
    };
    traces(answers).into_iter().map(object).collect()
}
