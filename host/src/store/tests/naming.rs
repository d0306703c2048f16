//! Where a text is found in the whole database: what is deleted for good must be found nowhere.

use crate::store::{Kind, Store};

/// The tables that have this text in any column.
pub(crate) async fn naming(store: &Store, text: &str) -> Vec<String> {
    let (tables, columns) = match store.kind() {
        Kind::Sqlite => ("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", "SELECT name FROM pragma_table_info($1)"),
        Kind::Postgres => (
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY 1",
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND CAST(table_name AS TEXT) = $1",
        ),
    };
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&store.read).await.unwrap();
    let mut found = Vec::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar(columns).bind(&table).fetch_all(&store.read).await.unwrap();
        let anywhere = columns.iter().map(|column| format!("CAST(\"{column}\" AS TEXT) LIKE $1")).collect::<Vec<_>>().join(" OR ");
        let statement = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM \"{table}\" WHERE {anywhere}"));
        let rows: i64 = sqlx::query_scalar(statement).bind(format!("%{text}%")).fetch_one(&store.read).await.unwrap();
        if rows > 0 {
            found.push(table);
        }
    }
    found
}
