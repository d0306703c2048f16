//! The one set of migrations in the words of either database.
//!
//! Migrations are written once, in what both understand. Three things are told apart here, so that no file has to be written twice:
//! PostgreSQL sorts text by language unless told otherwise, has no triggers of a single line, and SQLite's driver knows no booleans.
//! A migration keeps the checksum of its file, whatever becomes of its words.

use sqlx::migrate::{Migration, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

/// The first line of a migration that only SQLite needs.
const SQLITE_ONLY: &str = "-- SQLite only";

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

pub(super) fn migrations(kind: Kind) -> Migrator {
    let files = sqlx::migrate!("src/store/migrations");
    let said = files.iter().map(|file| Migration { sql: AssertSqlSafe(kind.says(file.sql.as_str())).into_sql_str(), ..file.clone() });
    Migrator::with_migrations(said.collect())
}

impl Kind {
    fn says(self, sql: &str) -> String {
        match self {
            Self::Sqlite => replace_word(sql, "BOOLEAN", "BIGINT"),
            Self::Postgres if sql.starts_with(SQLITE_ONLY) => String::new(),
            Self::Postgres => {
                let lines: Vec<String> = sql.lines().map(|line| refusal(line).unwrap_or_else(|| line.to_owned())).collect();
                // By bytes, as SQLite does: pages continue behind an id, and every run's order must be the same.
                replace_word(&lines.join("\n"), "TEXT", "TEXT COLLATE \"C\"")
            }
        }
    }
}

/// Replaces a type where it stands behind a column's name.
fn replace_word(sql: &str, word: &str, by: &str) -> String {
    let mut said = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find(word) {
        let (before, found) = rest.split_at(at);
        let after = &found[word.len()..];
        let alone = before.ends_with(' ') && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == ')');
        said.push_str(before);
        said.push_str(if alone { by } else { word });
        rest = after;
    }
    said.push_str(rest);
    said
}

/// A trigger of one line that refuses a change: `CREATE TRIGGER name BEFORE UPDATE ON table BEGIN SELECT RAISE(ABORT, 'why'); END;`
fn refusal(line: &str) -> Option<String> {
    let (head, why) = line.strip_prefix("CREATE TRIGGER ")?.split_once(" BEGIN SELECT RAISE(ABORT, ")?;
    let why = why.strip_suffix("); END;")?;
    let (name, event) = head.split_once(' ')?;
    let mut said = format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING MESSAGE = {why}; END $$;\n\
         CREATE TRIGGER {name} {event} FOR EACH ROW EXECUTE FUNCTION {name}();"
    );
    // SQLite has no other way to delete.
    if let Some(table) = event.strip_prefix("BEFORE DELETE ON ") {
        said.push_str(&format!("\nCREATE TRIGGER {name}_at_once BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {name}();"));
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_get_the_words_of_the_database() {
        let sql =
            "CREATE TABLE t (\n    id TEXT NOT NULL PRIMARY KEY, -- the TEXTURE (AS TEXT)\n    no BOOLEAN,\n    at BIGINT, x TEXT\n);";
        assert_eq!(
            Kind::Postgres.says(sql),
            "CREATE TABLE t (\n    id TEXT COLLATE \"C\" NOT NULL PRIMARY KEY, -- the TEXTURE (AS TEXT)\n    no BOOLEAN,\n    at BIGINT, x TEXT COLLATE \"C\"\n);"
        );
        assert_eq!(Kind::Sqlite.says(sql), sql.replace("BOOLEAN", "BIGINT"));
        assert_eq!(Kind::Postgres.says("-- SQLite only: because\nPRAGMA x;"), "");
    }

    #[test]
    fn a_trigger_that_refuses_deleting_refuses_it_all_at_once_too() {
        let said = Kind::Postgres.says("CREATE TRIGGER kept BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'it stays'); END;");
        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            [
                "CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING MESSAGE = 'it stays'; END $$;",
                "CREATE TRIGGER kept BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION kept();",
                "CREATE TRIGGER kept_at_once BEFORE TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION kept();",
            ]
        );
    }

    #[test]
    fn migrations_keep_the_checksums_of_their_files() {
        let files = sqlx::migrate!("src/store/migrations");
        for kind in [Kind::Sqlite, Kind::Postgres] {
            let said = migrations(kind);
            assert!(said.iter().zip(files.iter()).all(|(said, file)| said.checksum == file.checksum && said.version == file.version));
            assert_eq!(said.iter().count(), files.iter().count());
        }
    }
}
