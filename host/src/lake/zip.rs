//! A tenant's charges as rated: the rows of the snapshot that its overlay names, with the overlay's columns in their place.

use super::error::LakeError;
use super::overlay::OverlayReader;
use super::reader::SnapshotReader;
use crate::domain::charge::{self, LINE_TYPE};
use crate::domain::columns::{Batch, Column};
use crate::domain::rated::GroupRef;

/// The named columns of a tenant's charges in one row group: what [`SnapshotReader::read`] knows, and the rated columns.
pub fn read_rated(snapshot: &SnapshotReader, overlay: &OverlayReader, group: GroupRef, columns: &[&str]) -> Result<Batch, LakeError> {
    let Some(number) = overlay.number(group) else { return Ok(Batch::new(0)) };
    let rows = overlay.rows(number)?;
    let whole = rows.len() == check(snapshot, group, &rows)?;
    let overlaid = |name: &str| overlay.has(number, name);
    let wanted: Vec<&str> = columns.iter().filter(|name| !overlaid(name)).map(|name| source(name)).collect();
    let mut stored = snapshot.read(group, &wanted)?.columns.into_iter();
    let mut batch = Batch::new(rows.len());
    for name in columns {
        let column = if overlaid(name) {
            overlay.column(number, name)?
        } else {
            let column = stored.next().map_or_else(|| Column::null(charge::Kind::Text, 0), |(_, column)| column);
            if whole { column } else { column.gather(&rows) }
        };
        batch.push(*name, column);
    }
    Ok(batch)
}

/// The snapshot's column behind a column of a rated charge that no rule relabelled.
pub(super) fn source(name: &str) -> &str {
    if name == LINE_TYPE { "x_SourceLineType" } else { name }
}

/// The rows of the snapshot's group; an error where the overlay speaks of rows that it does not have.
pub(super) fn check(snapshot: &SnapshotReader, group: GroupRef, rows: &[u32]) -> Result<usize, LakeError> {
    let file = snapshot.file(group)?;
    let all = file.rows(group.group as usize);
    if rows.last().is_some_and(|last| *last as usize >= all) {
        return Err(LakeError::Corrupt { path: file.path.clone(), what: "the overlay belongs to another snapshot".to_owned() });
    }
    Ok(all)
}
