//! Every statement of makegood's own is one that PostgreSQL takes, and what it is given and answers is as agreed: columns are
//! read by their place, so a type or an order that changes unseen would be found out in the middle of a payment.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tokio_postgres::Column;
use tokio_postgres::types::Type;

use crate::support::golden::assert_golden;
use crate::support::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_taken_and_answers_as_agreed() {
    let rig = Rig::new(1).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/core");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.collect();
    files.sort();
    let mut text = String::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let sql = fs::read_to_string(&file).unwrap();
        // The one with places for the names of the host's table.
        let sql = sql
            .replace("{texts}", "payment_id::text")
            .replace("{columns}", "payment_id")
            .replace("{table}", "student_course_purchases");
        let statement = rig.client.prepare(&sql).await;
        let statement = statement.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let params: Vec<&str> = statement.params().iter().map(Type::name).collect();
        let column = |c: &Column| format!("{} {}", c.name(), c.type_());
        let columns: Vec<String> = statement.columns().iter().map(column).collect();
        let answer = format!("{name}({}) -> {}", params.join(", "), columns.join(", "));
        writeln!(text, "{}", answer.trim_end()).unwrap();
    }
    assert_golden("tests/golden/statements.txt", &text);
}
