//! Every row of every table as a value that either kind of database takes: what a backup is made of.
//!
//! Tables and columns are found in the database itself, so that no list of them can be forgotten here. A column that is null is left out.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use serde_json::{Map, Value};
use sqlx::any::AnyTypeInfoKind;
use sqlx::migrate::Migrator;
use sqlx::{Column, Row, TypeInfo, ValueRef};

use super::connect::Address;
use super::dialect::{Kind, migrations};
use super::leases::statement;
use super::{DbPool, DbRow, Result, StoreError, Tx};

/// What belongs to running daemons, not to the data. What is restored lies in a folder, whatever bucket it was in.
const LEFT_OUT: [&str; 5] = ["_sqlx_migrations", "leases", "messages", "imports", "lake_place"];

/// A row by column.
pub type Columns = Map<String, Value>;

/// All rows of a database as they are at one moment, while it is in use.
pub struct Dump {
    tx: Tx,
    kind: Kind,
}

impl Dump {
    /// Changes nothing, not even the version of the tables.
    pub async fn open(url: &str) -> Result<Self> {
        let address: Address = url.parse()?;
        let kind = address.kind();
        Ok(Self { tx: address.readers().await?.begin_with(kind.begin_reading()).await?, kind })
    }

    /// Which migrations made the tables what they are.
    pub async fn migrations(&mut self) -> Result<Vec<i64>> {
        if !all_tables(&mut self.tx, self.kind).await?.iter().any(|table| table == LEFT_OUT[0]) {
            return Err(StoreError::Invalid("this is not a database of rerate's".to_owned()));
        }
        Ok(sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version").fetch_all(&mut *self.tx).await?)
    }

    /// The bucket in which the files are that the rows name, if they are not in the daemon's folder.
    pub async fn bucket(&mut self) -> Result<Option<String>> {
        if !all_tables(&mut self.tx, self.kind).await?.iter().any(|table| table == "lake_place") {
            return Ok(None); // as an older program left it
        }
        let taken = sqlx::query_scalar("SELECT location FROM lake_place WHERE settled_at IS NOT NULL");
        Ok(taken.fetch_optional(&mut *self.tx).await?)
    }

    pub async fn tables(&mut self) -> Result<Vec<String>> {
        data_tables(&mut self.tx, self.kind).await
    }

    /// Gives each row of a table to `each`, until that fails.
    pub async fn rows<E: From<StoreError>>(
        &mut self,
        table: &str,
        mut each: impl FnMut(Columns) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut rows = sqlx::query(statement(format!("SELECT * FROM \"{table}\" ORDER BY 1"))).fetch(&mut *self.tx);
        while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
            each(columns(table, &row)?)?;
        }
        Ok(())
    }
}

fn columns(table: &str, row: &DbRow) -> Result<Columns> {
    let mut columns = Map::new();
    for (place, column) in row.columns().iter().enumerate() {
        let value = row.try_get_raw(place)?;
        if value.is_null() {
            continue;
        }
        let kind = value.type_info().kind();
        let value = match kind {
            AnyTypeInfoKind::Text => Value::from(row.try_get::<String, _>(place)?),
            AnyTypeInfoKind::Bool => Value::from(row.try_get::<bool, _>(place)?),
            kind if kind.is_integer() => Value::from(row.try_get::<i64, _>(place)?),
            _ => {
                let (column, kind) = (column.name(), value.type_info().name().to_owned());
                return Err(StoreError::Corrupt(format!("{table}.{column} has the type {kind}")));
            }
        };
        columns.insert(column.name().to_owned(), value);
    }
    Ok(columns)
}

/// Fills an empty database with the rows of another, of either kind: all of them or none.
pub struct Fill {
    pool: DbPool,
    tx: Tx,
    kind: Kind,
    tables: BTreeSet<String>,
    booleans: BTreeSet<(String, String)>,
    /// Of PostgreSQL: (table, name) of what rows refer to each other by.
    references: Vec<(String, String)>,
}

impl Fill {
    /// Makes the tables as these migrations leave them; the others follow when the rows are in.
    pub async fn begin(url: &str, made_by: &[i64]) -> Result<Self> {
        let address: Address = url.parse()?;
        let kind = address.kind();
        let known = migrations(kind);
        if let Some(unknown) = made_by.iter().find(|version| !known.version_exists(**version)) {
            return Err(StoreError::Invalid(format!(
                "the backup was made by a newer rerate (migration {unknown}): restore it with that one"
            )));
        }
        let pool = address.writers().await?;
        let mut tx = pool.begin().await?;
        for table in data_tables(&mut tx, kind).await? {
            let rows: i64 = sqlx::query_scalar(statement(format!("SELECT COUNT(*) FROM \"{table}\""))).fetch_one(&mut *tx).await?;
            if rows > 0 {
                return Err(StoreError::Conflict(format!("the database is not empty: {table} has {rows} rows")));
            }
        }
        tx.rollback().await?;
        let then = known.iter().filter(|migration| made_by.contains(&migration.version)).cloned().collect();
        Migrator::with_migrations(then).run(&pool).await?;
        let mut tx = pool.begin().await?;
        let tables: BTreeSet<String> = data_tables(&mut tx, kind).await?.into_iter().collect();
        let mut fill = Self { pool, tx, kind, tables, booleans: BTreeSet::new(), references: Vec::new() };
        fill.prepare().await?;
        Ok(fill)
    }

    /// Lets rows come in any order, and takes out what migrations put into empty tables.
    async fn prepare(&mut self) -> Result<()> {
        match self.kind {
            Kind::Sqlite => {
                sqlx::query("PRAGMA defer_foreign_keys = ON").execute(&mut *self.tx).await?;
            }
            Kind::Postgres => {
                let references = sqlx::query_as(
                    "SELECT CAST(t.relname AS TEXT), CAST(c.conname AS TEXT) FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid \
                     JOIN pg_namespace n ON n.oid = t.relnamespace WHERE c.contype = 'f' AND n.nspname = current_schema()",
                );
                self.references = references.fetch_all(&mut *self.tx).await?;
                self.refer("DEFERRABLE").await?;
                sqlx::query("SET CONSTRAINTS ALL DEFERRED").execute(&mut *self.tx).await?;
                let booleans: Vec<(String, String)> = sqlx::query_as(
                    "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns \
                     WHERE table_schema = current_schema() AND data_type = 'boolean'",
                )
                .fetch_all(&mut *self.tx)
                .await?;
                self.booleans = booleans.into_iter().collect();
            }
        }
        for table in &self.tables {
            sqlx::query(statement(format!("DELETE FROM \"{table}\""))).execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    async fn refer(&mut self, how: &str) -> Result<()> {
        for (table, name) in &self.references {
            sqlx::query(statement(format!("ALTER TABLE \"{table}\" ALTER CONSTRAINT \"{name}\" {how}"))).execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    pub async fn row(&mut self, table: &str, row: Columns) -> Result<()> {
        if !self.tables.contains(table) {
            return Err(StoreError::Invalid(format!("there is no table {table}")));
        }
        if let Some(odd) = row.keys().find(|name| !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')) {
            return Err(StoreError::Invalid(format!("{table} has no column {odd:?}")));
        }
        let names: Vec<String> = row.keys().map(|name| format!("\"{name}\"")).collect();
        let places: Vec<String> = (1..=names.len()).map(|place| format!("${place}")).collect();
        let insert = format!("INSERT INTO \"{table}\" ({}) VALUES ({})", names.join(", "), places.join(", "));
        let mut insert = sqlx::query(statement(insert));
        for (column, value) in row {
            let is_boolean = self.booleans.contains(&(table.to_owned(), column.clone()));
            insert = match value {
                Value::String(text) => insert.bind(text),
                Value::Bool(yes) => insert.bind(yes),
                Value::Number(number) => match number.as_i64() {
                    Some(number) if is_boolean => insert.bind(number != 0),
                    Some(number) => insert.bind(number),
                    None => return Err(StoreError::Invalid(format!("{table}.{column} is {number}"))),
                },
                other => return Err(StoreError::Invalid(format!("{table}.{column} is {other}"))),
            };
        }
        insert.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Checks that every row that another refers to is there, commits, and brings the tables to this version of the program.
    pub async fn finish(mut self) -> Result<()> {
        if self.kind == Kind::Postgres {
            sqlx::query("SET CONSTRAINTS ALL IMMEDIATE").execute(&mut *self.tx).await?;
            self.refer("NOT DEFERRABLE").await?;
        }
        let Self { pool, tx, kind, .. } = self;
        tx.commit().await?;
        migrations(kind).run(&pool).await?;
        pool.close().await;
        Ok(())
    }
}

async fn data_tables(tx: &mut Tx, kind: Kind) -> Result<Vec<String>> {
    let mut tables = all_tables(tx, kind).await?;
    tables.retain(|table| !LEFT_OUT.contains(&table.as_str()));
    Ok(tables)
}

async fn all_tables(tx: &mut Tx, kind: Kind) -> Result<Vec<String>> {
    let tables = match kind {
        Kind::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name",
        Kind::Postgres => {
            "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1"
        }
    };
    Ok(sqlx::query_scalar(tables).fetch_all(&mut **tx).await?)
}
