use super::*;

fn position(sql: &str, of: &str) -> u32 {
    u32::try_from(sql[..sql.find(of).unwrap()].chars().count() + 1).unwrap()
}

#[test]
fn an_insert_is_found_with_its_columns_wherever_it_stands() {
    let sql = "WITH e AS (SELECT 1 FROM unnest($1::uuid[]) x), i AS (
        INSERT INTO Shop.\"Orders\" AS o (\"payId\", Amount /* , not */, -- nor, this
            tags[1]) SELECT a, b, 'INSERT INTO x (y)' FROM e JOIN public.p USING (a)
        ON CONFLICT (\"payId\") DO NOTHING RETURNING id)
        SELECT $q$ FROM nothing $q$, E'it\\'s' FROM i";
    let names = names(sql);
    assert_eq!(names.tables, ["unnest", "shop.\"Orders\"", "e", "public.p", "i"]);
    assert_eq!(names.inserts.len(), 1);
    assert_eq!(names.inserts[0].table, "shop.\"Orders\"");
    assert_eq!(names.inserts[0].columns, ["payId", "amount", "tags"]);
    assert!(names.inserts[0].has(position(sql, "Amount")));
    assert!(!names.inserts[0].has(position(sql, "a, b")));
}

#[test]
fn an_insert_without_a_list_names_no_columns() {
    for sql in [
        "INSERT INTO t SELECT 1",
        "INSERT INTO t (SELECT a FROM b)",
        "insert into t",
        "INSERT INTO t (",
    ] {
        let inserts = names(sql).inserts;
        assert_eq!((inserts[0].table.as_str(), inserts[0].columns.len()), ("t", 0), "{sql}");
    }
}

#[test]
fn the_name_at_a_place_is_its_last_part_and_has_a_line() {
    let sql = "SELECT é,\n  p.\"Start\" . day FROM x p";
    assert_eq!(name_at(sql, position(sql, "p.")), Some(("day".to_owned(), 2)));
    assert_eq!(name_at(sql, position(sql, "x p")), Some(("x".to_owned(), 2)));
    for nothing in [0, 2, 9999] {
        assert_eq!(name_at(sql, nothing), None);
    }
}

#[test]
fn a_name_is_quoted_only_where_it_must_be() {
    assert_eq!(
        ["start_date", "startDate", "1st", "a\"b", ""].map(quoted),
        ["start_date", "\"startDate\"", "\"1st\"", "\"a\"\"b\"", "\"\""]
    );
}

#[test]
fn the_shipped_mapping_names_its_table_and_columns() {
    let names = names(include_str!("../../../../sql/purchases/apply.sql"));
    assert_eq!(names.inserts.len(), 1);
    assert_eq!(names.inserts[0].table, "student_course_purchases");
    assert_eq!(names.inserts[0].columns.len(), 7);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "[-a-z'\"$/*().,\\[\\]\\n é1]{0,60}", at in 0u32..80) {
        let _ = (names(&text), name_at(&text, at), names(&format!("INSERT INTO {text}")));
    }
}
