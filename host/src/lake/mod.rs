//! Charges in Parquet: immutable snapshots of bills, the overlays that rating lays on them, and whole files for export.
//!
//! A snapshot part holds one source file's charges of one billing period, a row group for each chunk. Batches are dictionary-encoded
//! already, so this module writes and reads the pages of a column chunk itself, codes to codes, and leaves page headers, compression on
//! reading and footers to the `parquet` crate; what it writes is ordinary Parquet that other tools read. Its own reader reads its own
//! files only: bills in Parquet come in through `bills`.
//!
//! Nothing here knows tenants, rules or the control store. A file is written under a temporary name and renamed when it is whole;
//! which files count is decided by the store.

mod accounts;
mod contents;
mod csv_text;
mod decode;
mod encode;
mod error;
mod export;
mod file;
mod hybrid;
mod order;
mod overlay;
mod page;
mod reader;
mod snapshot;
mod tags;
mod tenant_file;
#[cfg(test)]
mod tests;
mod zip;

pub use accounts::{Accounts, charged_for};
pub use contents::{CurrencyTotal, SubAccount};
pub use error::LakeError;
pub use export::{Export, Format, export};
pub use file::{PartInfo, clean};
pub use overlay::{OverlayReader, OverlayWriter};
pub use page::{Cursor, Filter, MAX_PAGE, NotACursor, Page, Test, cells, read_page, read_page_of};
pub use reader::SnapshotReader;
pub use snapshot::{SnapshotWriter, WrittenPeriod};
pub use tenant_file::{is_theirs, tenant_file};
pub use zip::read_rated;

/// Rows of one row group that are read or written: 16 million, a hundred times what a chunk of a bill holds, so that a corrupt count
/// cannot ask for all memory.
const MAX_ROWS_PER_GROUP: usize = 1 << 24;

/// Bytes of a footer that are read. A month of 5 GB with 300 columns has 6 MB.
const MAX_FOOTER_BYTES: u64 = 256 << 20;

/// Bytes of one column of one row group, compressed or not. Chunks hold 64 MiB of text.
const MAX_COLUMN_BYTES: u64 = 1 << 30;
