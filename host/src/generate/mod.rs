//! Makes bills: deterministic, of any size, with every line type that rating must get right, as the providers' real files.
//!
//! For trying rerate without a bill at hand, for tests and for benchmarks. The same [`Spec`] gives the same bytes, whatever the
//! number of threads. It does not read bills and shares no code with what does, so that the two can disagree.

mod catalogue;
mod columns;
mod csv;
mod decimal;
mod fleet;
mod focus;
mod layout;
mod line;
mod lines;
mod month;
mod organisation;
mod parquet;
mod random;
pub mod sample;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

pub use line::LineType;
pub use organisation::{Account, Discounts, Organisation, Provider};

use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use catalogue::Nature;
use columns::{Column, Row};
use line::{Line, Span};
use lines::{Plan, TooFewLines};
use organisation::Pairs;
use random::{BASE32, Random};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// AWS Cost and Usage Report 2.0 (Data Exports).
    Cur2,
    /// AWS Cost and Usage Report, legacy.
    Cur,
    /// FOCUS 1.2, as Azure exports it.
    Focus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    CsvGz,
    Parquet,
}

/// A bill to make.
#[derive(Clone, Debug)]
pub struct Spec {
    pub rows: u64,
    pub seed: u64,
    pub format: Format,
    pub compression: Compression,
    pub period: Period,
    /// `None`: one for each million lines.
    pub files: Option<usize>,
    /// AWS for the two report formats, Azure for FOCUS.
    pub organisation: Organisation,
    /// The report's name, which its folders and files carry.
    pub name: String,
    /// Whether upfront payments fall into this month.
    pub purchases: bool,
    /// Whether the month is closed: only then do lines have an invoice.
    pub closed: bool,
}

/// Lines are spread over files of this size where nothing else is asked for, about as AWS does.
const ROWS_A_FILE: u64 = 1_000_000;
/// A bill is written in at most so many files.
pub const MOST_FILES: usize = 1_000;
/// Lines between two looks at the progress counters.
const PROGRESS_ROWS: u64 = 16_384;

#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("a bill with every line type needs at least {least} lines for this organisation")]
    TooFewLines { least: u64 },
    #[error("the lines of this bill can be spread over {most} files at most")]
    TooManyFiles { most: usize },
    #[error("{} holds a bill for this period already", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Parquet { path: PathBuf, source: ::parquet::errors::ParquetError },
    #[error("stopped")]
    Stopped,
}

/// What was written, with the generator's own sums.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Generated {
    pub rows: u64,
    pub files: Vec<PathBuf>,
    pub bytes: u64,
    /// `None` where the format has none.
    pub manifest: Option<PathBuf>,
    pub period: String,
    pub currency: String,
    /// What the provider charges: net costs, without split-cost copies.
    pub billed: Amount,
    pub split_cost: Sum,
    pub by_type: BTreeMap<&'static str, Sum>,
    /// Billed by subaccount id.
    pub by_account: BTreeMap<String, Sum>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    pub rows: u64,
    pub billed: Amount,
}

impl Sum {
    fn add(&mut self, rows: u64, units: i64) {
        self.rows += rows;
        self.billed.0 += i128::from(units) * UNITS_TO_AMOUNT;
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.billed.0 += other.billed.0;
    }
}

/// From 10^-10 to 10^-18.
const UNITS_TO_AMOUNT: i128 = 100_000_000;

/// What every line of a bill shares.
struct BillFacts {
    month: Span,
    payer: Account,
    currency: &'static str,
    legal_entity: String,
    discounts: Discounts,
    invoice: String,
    marketplace_invoice: String,
    no_pairs: Pairs,
}

impl BillFacts {
    /// The marketplace bills on an invoice of its own.
    fn invoice(&self, line: &Line<'_>) -> &str {
        if line.sku.meter.nature == Nature::Marketplace { &self.marketplace_invoice } else { &self.invoice }
    }
}

/// Writes the bill below `out`, which stands for the bucket, with at most `workers` threads.
pub fn generate(spec: &Spec, out: &Path, workers: usize, progress: &Progress) -> Result<Generated, GenerateError> {
    let plan = Plan::new(spec).map_err(|TooFewLines { least }| GenerateError::TooFewLines { least })?;
    let most = plan.most_files().min(MOST_FILES);
    let default_files = usize::try_from(spec.rows.div_ceil(ROWS_A_FILE)).unwrap_or(most).min(most);
    let files = spec.files.unwrap_or(default_files).max(1);
    if files > most {
        return Err(GenerateError::TooManyFiles { most });
    }
    let layout = layout::Layout::new(spec, files);
    let period = out.join(&layout.period);
    if period.exists() {
        return Err(GenerateError::Exists { path: period });
    }
    let columns: Vec<Column> = match spec.format {
        Format::Cur2 => columns::COLUMNS.iter().filter(|c| !c.cur2.is_empty()).copied().collect(),
        Format::Cur => columns::COLUMNS.iter().filter(|c| !c.legacy.is_empty()).copied().collect(),
        Format::Focus => focus::COLUMNS.to_vec(),
    };
    let names: Vec<String> = columns.iter().map(|c| column_name(c, spec)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let facts = facts(spec, &plan);
    progress.expect(spec.rows);
    let writing = Writing { spec, plan: &plan, facts: &facts, columns: &columns, names: &names, progress };
    let written = writing.all(&layout.files.iter().map(|f| out.join(f)).collect::<Vec<_>>(), workers)?;
    let manifest = layout.manifest(spec, &columns, &names);
    for path in &layout.manifests {
        let path = out.join(path);
        create_parent(&path)?;
        fs::write(&path, &manifest).map_err(|source| GenerateError::Write { path, source })?;
    }
    let mut generated = Generated {
        manifest: layout.manifests.last().map(|m| out.join(m)),
        period: spec.period.to_string(),
        currency: spec.organisation.currency.to_owned(),
        ..Generated::default()
    };
    for (path, sums) in layout.files.iter().zip(written) {
        let path = out.join(path);
        let size = fs::metadata(&path).map_err(|source| GenerateError::Write { path: path.clone(), source })?;
        generated.bytes += size.len();
        generated.files.push(path);
        sums.add_to(&mut generated, &plan);
    }
    Ok(generated)
}

fn facts(spec: &Spec, plan: &Plan) -> BillFacts {
    let month = plan.month.clone();
    let mut random = Random::new(spec.seed ^ u64::try_from(month.start_seconds).unwrap_or(0), 0x1c);
    let mut invoice = || if spec.closed { random.digits(10) } else { String::new() };
    let entity = if spec.organisation.is_aws() { "Amazon Web Services, Inc." } else { "Microsoft" };
    BillFacts {
        payer: spec.organisation.payer.clone(),
        currency: spec.organisation.currency,
        legal_entity: entity.to_owned(),
        discounts: spec.organisation.discounts,
        invoice: invoice(),
        marketplace_invoice: invoice(),
        no_pairs: Pairs::new(Vec::new()),
        month,
    }
}

/// Legacy Parquet has the snake-case names of Athena; columns that CUR 2.0 keeps in maps get them here.
fn column_name(column: &Column, spec: &Spec) -> String {
    match (spec.format, spec.compression) {
        (Format::Cur, Compression::CsvGz) => column.legacy.to_owned(),
        (Format::Cur, Compression::Parquet) if column.cur2.is_empty() => snake_case(column.legacy),
        _ => column.cur2.to_owned(),
    }
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '/' | ':' => out.push('_'),
            'A'..='Z' => {
                if !out.is_empty() && !out.ends_with('_') {
                    out.push('_');
                }
                out.push(c.to_ascii_lowercase());
            }
            _ => out.push(c),
        }
    }
    out
}

fn create_parent(path: &Path) -> Result<(), GenerateError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::create_dir_all(parent).map_err(|source| GenerateError::Write { path: parent.to_owned(), source })
}

/// Sums of one file.
#[derive(Default)]
struct Sums {
    rows: u64,
    split_cost: Sum,
    by_type: BTreeMap<LineType, Sum>,
    /// By position in the organisation's accounts; the payer is behind them.
    by_account: Vec<Sum>,
}

impl Sums {
    fn add_to(self, generated: &mut Generated, plan: &Plan) {
        generated.rows += self.rows;
        generated.split_cost.merge(self.split_cost);
        for (kind, sum) in self.by_type {
            generated.by_type.entry(kind.name()).or_default().merge(sum);
            generated.billed.0 += sum.billed.0;
        }
        for (position, sum) in self.by_account.into_iter().enumerate().filter(|(_, sum)| sum.rows > 0) {
            generated.by_account.entry(plan.fleet.account(position).id.clone()).or_default().merge(sum);
        }
    }
}

/// One bill being written.
struct Writing<'a> {
    spec: &'a Spec,
    plan: &'a Plan,
    facts: &'a BillFacts,
    columns: &'a [Column],
    names: &'a [&'a str],
    progress: &'a Progress,
}

enum Sheet {
    Csv(Box<csv::CsvFile<BufWriter<File>>>),
    Parquet(Box<parquet::ParquetFile<BufWriter<File>>>),
}

impl Writing<'_> {
    fn all(&self, paths: &[PathBuf], workers: usize) -> Result<Vec<Sums>, GenerateError> {
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut done = Vec::new();
            loop {
                let file = next.fetch_add(1, Ordering::Relaxed);
                let Some(path) = paths.get(file) else { return Ok(done) };
                match self.file(path, file, paths.len()) {
                    Ok(sums) => done.push((file, sums)),
                    Err(error) => {
                        self.progress.cancel(); // the others need not go on
                        return Err(error);
                    }
                }
            }
        };
        let results: Vec<Result<Vec<(usize, Sums)>, GenerateError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..workers.clamp(1, paths.len())).map(|_| scope.spawn(worker)).collect();
            threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        let mut sums = Vec::new();
        let mut first_error = None;
        for result in results {
            match (result, &first_error) {
                (Ok(done), _) => sums.extend(done),
                (Err(error), None | Some(GenerateError::Stopped)) => first_error = Some(error),
                (Err(_), _) => {}
            }
        }
        if let Some(error) = first_error {
            return Err(error);
        }
        sums.sort_by_key(|(file, _)| *file);
        Ok(sums.into_iter().map(|(_, sums)| sums).collect())
    }

    fn file(&self, path: &Path, file: usize, files: usize) -> Result<Sums, GenerateError> {
        let write = |source| GenerateError::Write { path: path.to_owned(), source };
        let parquet = |source| GenerateError::Parquet { path: path.to_owned(), source };
        create_parent(path)?;
        let out = BufWriter::new(File::create(path).map_err(write)?);
        let mut sheet = match self.spec.compression {
            Compression::CsvGz => Sheet::Csv(Box::new(csv::CsvFile::new(out, self.columns.to_vec(), self.names))),
            Compression::Parquet => {
                Sheet::Parquet(Box::new(parquet::ParquetFile::new(out, self.columns.to_vec(), self.names).map_err(parquet)?))
            }
        };
        let accounts = &self.plan.fleet.organisation.accounts;
        let positions: std::collections::HashMap<*const Account, usize> =
            accounts.iter().enumerate().map(|(n, a)| (std::ptr::from_ref(a), n)).collect();
        let mut sums = Sums { by_account: vec![Sum::default(); accounts.len() + 1], ..Sums::default() };
        let stream = self.plan.month.start_seconds.unsigned_abs() << 16 | u64::try_from(file).unwrap_or(0);
        let mut ids = Random::new(self.spec.seed, stream);
        let mut id = [0; 52];
        self.plan.lines(file, files, |line| {
            ids.fill(BASE32, &mut id);
            let row = Row { bill: self.facts, id: std::str::from_utf8(&id).unwrap_or_default() };
            match &mut sheet {
                Sheet::Csv(sheet) => sheet.write(line, &row).map_err(write)?,
                Sheet::Parquet(sheet) => sheet.write(line, &row).map_err(parquet)?,
            }
            sums.rows += 1;
            let billed = line.billed();
            sums.by_type.entry(line.kind).or_default().add(1, billed);
            let account = positions.get(&std::ptr::from_ref(line.account)).copied().unwrap_or(accounts.len());
            sums.by_account[account].add(1, billed);
            if line.is_split_cost() {
                sums.split_cost.add(1, line.cost);
            }
            if sums.rows.is_multiple_of(PROGRESS_ROWS) {
                self.progress.advance(PROGRESS_ROWS, PROGRESS_ROWS);
                if self.progress.is_cancelled() {
                    return Err(GenerateError::Stopped);
                }
            }
            Ok(())
        })?;
        self.progress.advance(sums.rows % PROGRESS_ROWS, sums.rows % PROGRESS_ROWS);
        let out = match sheet {
            Sheet::Csv(sheet) => sheet.finish().map_err(write)?,
            Sheet::Parquet(sheet) => sheet.finish().map_err(parquet)?,
        };
        out.into_inner().map_err(|e| write(e.into_error()))?.flush().map_err(write)?;
        Ok(sums)
    }
}

#[cfg(test)]
mod tests;
