//! A tenant's own file: what it is charged, in the columns that it may see. What rules dropped is not in it.
//!
//! Beside `export` and not a form of it: that one copies column chunks as they are, and nothing here may be copied unseen.

use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::accounts::{ACCOUNT_COLUMNS, Accounts, rows_of};
use super::csv_text::CsvText;
use super::encode::GroupEncoder;
use super::error::LakeError;
use super::export::{Export, Format, lines};
use super::file::{PartFile, Unfinished, sync_dir};
use super::zip::read_rated;
use crate::domain::charge::{Kind, TENANT, TREATMENT, kind_of};
use crate::domain::columns::{Batch, Column};
use crate::domain::progress::Progress;
use crate::domain::rated::RatedLine;
use crate::domain::rule::Treatment;

/// Writes the file and gives its number of rows; of these accounts only, if any are named. Cancelling `progress` gives
/// [`LakeError::Aborted`].
pub fn tenant_file(
    out: &Path,
    format: Format,
    export: Export<'_>,
    accounts: Option<&Accounts>,
    progress: &Progress,
) -> Result<u64, LakeError> {
    let added: Vec<RatedLine> = export.lines.iter().filter(|line| is_theirs(line, accounts)).cloned().collect();
    let added = redacted(lines(&added, export.bill)?);
    let mut rows = 0;
    let batches = export.sources.iter().flat_map(|(snapshot, overlay)| {
        overlay.groups().into_iter().map(move |(group, _)| {
            if progress.is_cancelled() {
                return Err(LakeError::Aborted);
            }
            let names: Vec<&str> = TENANT.iter().chain(&[TREATMENT, ACCOUNT_COLUMNS[0]]).copied().collect();
            let batch = read_rated(snapshot, overlay, group, &names)?;
            Ok(redacted(batch.gather(&visible(&batch, accounts))))
        })
    });
    let batches = batches.chain(std::iter::once(Ok(added))).filter(|batch| !batch.as_ref().is_ok_and(|batch| batch.rows == 0));
    match format {
        Format::Csv => {
            let (unfinished, file) = Unfinished::create(out)?;
            let mut file = BufWriter::new(file);
            let text = CsvText::of(TENANT);
            file.write_all(&text.header()).map_err(LakeError::io(out))?;
            for batch in batches {
                let batch = batch?;
                rows += batch.rows as u64;
                file.write_all(&text.render(&batch)?.rows(0..batch.rows)).map_err(LakeError::io(out))?;
            }
            let file = file.into_inner().map_err(|error| LakeError::io(out)(error.into_error()))?;
            file.sync_all().map_err(LakeError::io(out))?;
            unfinished.publish()?;
        }
        Format::Parquet => {
            let mut file = PartFile::create(out)?;
            let columns: Vec<(&str, Kind)> = TENANT.iter().map(|name| (*name, kind_of(name).unwrap_or(Kind::Text))).collect();
            file.declare(&columns);
            for batch in batches {
                let batch = batch?;
                rows += batch.rows as u64;
                let mut encoder = GroupEncoder::new(batch.rows)?;
                for (name, kind) in &columns {
                    match batch.column(name) {
                        Some(column) => encoder.push(Arc::from(*name), column)?,
                        None => encoder.push_null(Arc::from(*name), *kind)?,
                    }
                }
                file.append(encoder.finish()?)?;
            }
            file.seal(Vec::new())?.0.publish()?;
        }
    }
    out.parent().map_or(Ok(()), sync_dir)?;
    Ok(rows)
}

/// Whether a line that a rule added is charged, and to one of these accounts.
pub fn is_theirs(line: &RatedLine, accounts: Option<&Accounts>) -> bool {
    let of = |accounts: &Accounts| {
        let account = line.line.sub_account_id.as_deref();
        account.is_some_and(|account| accounts.iter().any(|(_, known)| known == account))
    };
    line.treatment != Treatment::Drop && accounts.is_none_or(of)
}

/// The rows that are charged, and to one of these accounts.
fn visible(batch: &Batch, accounts: Option<&Accounts>) -> Vec<u32> {
    let mut rows: Vec<u32> = match accounts {
        Some(accounts) => rows_of(batch, accounts),
        None => (0..u32::try_from(batch.rows).unwrap_or(u32::MAX)).collect(),
    };
    if let Some(treatment) = batch.text(TREATMENT) {
        rows.retain(|row| treatment.get(*row as usize) != Some(Treatment::Drop.name()));
    }
    rows
}

/// Without the columns that a tenant does not see.
fn redacted(batch: Batch) -> Batch {
    let columns: Vec<(Arc<str>, Column)> = batch.columns.into_iter().filter(|(name, _)| TENANT.contains(&&**name)).collect();
    Batch { rows: batch.rows, columns }
}
