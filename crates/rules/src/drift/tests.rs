use super::*;

const SQL: &str = "WITH i AS (\n INSERT INTO shop.orders (pay_id, start_date, amount)\n SELECT p.id, p.paid_at, 1 FROM payments p\n RETURNING 1) SELECT 1";

fn column(name: &str, kind: &str, required: bool) -> Column {
    Column { name: name.to_owned(), kind: kind.to_owned(), required }
}

fn table(written: &str, columns: Vec<Column>) -> Table {
    let written = written.to_owned();
    Table { written, columns, has_trigger: false, readable: true, insertable: true }
}

fn catalogue() -> Catalogue {
    let orders = vec![
        column("id", "uuid", false),
        column("pay_id", "uuid", true),
        column("amount", "numeric(12,2)", true),
        column("started_date", "date", false),
        column("seat", "integer", true),
    ];
    let payments = vec![column("id", "uuid", true), column("paid_on", "timestamptz", true)];
    Catalogue {
        tables: vec![table("shop.orders", orders), table("payments", payments)],
        others: vec!["payments".to_owned(), "course_orders".to_owned()],
        schema_grants: Vec::new(),
        default_grants: Vec::new(),
        more_numbers: Vec::new(),
        role: "App".to_owned(),
    }
}

fn said(sqlstate: &'static str, at: Option<&str>, column: Option<&'static str>) -> Option<String> {
    let position = at.map(|word| u32::try_from(SQL.find(word).unwrap() + 1).unwrap());
    let table = column.map(|_| "orders");
    let source = MappingStatement {
        file: "apply.sql",
        sql: SQL,
        mapping: SQL,
        key: ("shop.orders", "pay_id"),
    };
    fix(source, ServerMessage { sqlstate, position, table, column }, &catalogue())
}

#[test]
fn a_column_that_is_gone_is_named_with_its_line_and_its_likely_new_name() {
    assert_eq!(
        said("42703", Some("start_date"), None).unwrap(),
        "apply.sql (line 2) names it; shop.orders has started_date, perhaps that is its new name: \
         change the mapping and send SIGHUP, or `ALTER TABLE shop.orders RENAME COLUMN started_date TO start_date;`"
    );
    let read = said("42703", Some("p.paid_at"), None).unwrap();
    assert!(read.contains("line 3") && read.contains("payments has paid_on"), "{read}");
}

#[test]
fn a_column_that_the_mapping_needs_itself_is_offered_as_nobodys_new_name() {
    let position = SQL.find("start_date").map(|at| u32::try_from(at + 1).unwrap());
    let said = ServerMessage { sqlstate: "42703", position, table: None, column: None };
    let fix_with = |mapping: &str| {
        let key = ("shop.orders", "pay_id");
        fix(MappingStatement { file: "apply.sql", sql: SQL, mapping, key }, said, &catalogue())
            .unwrap()
    };
    assert!(fix_with(SQL).contains("RENAME COLUMN started_date TO start_date;"));
    let elsewhere = format!("{SQL}; SELECT o.started_date FROM shop.orders o");
    assert!(!fix_with(&elsewhere).contains("RENAME"), "{}", fix_with(&elsewhere));
}

#[test]
fn a_column_without_a_likely_new_name_is_to_be_added() {
    let mut catalogue = catalogue();
    catalogue.tables[0].columns.retain(|c| c.name != "started_date");
    let source = MappingStatement {
        file: "apply.sql",
        sql: SQL,
        mapping: SQL,
        key: ("shop.orders", "pay_id"),
    };
    let position = SQL.find("start_date").map(|at| u32::try_from(at + 1).unwrap());
    let said = ServerMessage { sqlstate: "42703", position, table: None, column: None };
    let fix = fix(source, said, &catalogue).unwrap();
    assert!(fix.contains("shop.orders also has seat; "), "{fix}");
    assert!(fix.ends_with("or give shop.orders its column start_date back"), "{fix}");
}

#[test]
fn a_table_that_is_gone_may_have_another_name() {
    let fix = said("42P01", Some("shop.orders"), None).unwrap();
    assert!(fix.contains("line 2") && fix.contains("there is course_orders"), "{fix}");
}

#[test]
fn a_required_column_that_the_insert_leaves_out_is_named() {
    let left: Vec<String> = unset(SQL, &catalogue())
        .into_iter()
        .map(|u| format!("{}.{}", u.table, u.column.name))
        .collect();
    assert_eq!(left, ["shop.orders.seat"]);
    let fix = said("23502", None, Some("seat")).unwrap();
    assert!(
        fix.contains("does not set seat (integer)")
            && fix.contains("ALTER COLUMN seat DROP NOT NULL;"),
        "{fix}"
    );
    assert!(said("23502", None, Some("amount")).unwrap().contains("look at the event"));
    let mut filled = catalogue();
    filled.tables[0].has_trigger = true;
    assert_eq!(unset(SQL, &filled), []);
}

#[test]
fn missing_grants_are_written_out() {
    let mut catalogue = catalogue();
    catalogue.tables[0].insertable = false;
    catalogue.tables[1].readable = false;
    let names = sql::names(SQL);
    assert_eq!(
        missing_grants(&names, &catalogue).unwrap(),
        "`GRANT INSERT ON shop.orders TO \"App\";` `GRANT SELECT ON payments TO \"App\";`"
    );
}

#[test]
fn what_the_catalogue_does_not_explain_is_left_to_others() {
    assert_eq!(said("42601", Some("shop"), None), None);
    assert_eq!(said("42703", None, None), None);
    assert_eq!(said("42501", None, None), None);
}
