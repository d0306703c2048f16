//! Imports: looks through the integrations that are due, one after the other, and publishes what is new.
//!
//! A bill whose bytes are published already is skipped, so looking again costs a listing and a hash. A bill that fails leaves the
//! snapshots before it published; the other bills of the integration still come in. Which integrations are due is only remembered in
//! memory: at a start all of them are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectMeta;
use tokio::sync::watch;
use tracing::{Instrument, Span};

use super::bucket::{self, Bucket, BucketError, Credentials, place_of};
use super::customers::customers;
use super::engine::Causes;
use super::ingest::{IngestError, Ingested, ingest};
use super::work::part_paths;
use super::{Inner, lock};
use crate::bills::{Bill, BillError, discover};
use crate::depot::DepotError;
use crate::depot::s3::BucketLocation;
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::events::{Event, Position};
use crate::lake::{LakeError, SnapshotReader, WrittenPeriod};
use crate::secrets::{SecretError, Secrets};
use crate::store::{
    CUSTOMERS, CurrencyTotal, CustomersAdmitted, Integration, IntegrationFilter, IntegrationKind, IntegrationStatus, PageRequest, Part,
    PeriodContent, StoreError, SubaccountContent,
};
use crate::telemetry;

/// How often an import's progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Bills named in one error text.
const NAMED_BILLS: usize = 5;

#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error(transparent)]
    Bill(Box<BillError>),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Ingest(Box<IngestError>),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}", .0.join("; "))]
    Bills(Vec<String>),
    #[error("two bills cover {period}: {first} and {second}; give each its own integration")]
    TwoBills { period: Period, first: String, second: String },
    #[error(
        "the newest manifest, {manifest}, lists no charge of {period}, of which {charges} are published; they stay: fetch the export again"
    )]
    Emptied { manifest: String, period: Period, charges: u64 },
    #[error("a tenant's own bucket is read with its own credentials only, and none are set")]
    NoCredentials,
    #[error("the credentials: {0}")]
    Secret(#[from] SecretError),
    #[error("a billed amount of one account passes 38 digits")]
    SumOutOfRange,
    #[error("the import stopped on a defect in rerate; the log says where")]
    Panicked,
}

impl From<BillError> for ImportError {
    fn from(error: BillError) -> Self {
        Self::Bill(Box::new(error))
    }
}

impl From<IngestError> for ImportError {
    fn from(error: IngestError) -> Self {
        Self::Ingest(Box::new(error))
    }
}

/// Runs until the daemon stops.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    loop {
        if begin_look(&inner) {
            mark(&inner, |integration| integration.last_refresh_at.is_none_or(|at| at < integration.updated_at)).await;
            inner.import_ended();
        }
        while let Some(id) = next_due(&inner) {
            if *stop.borrow() {
                return;
            }
            let span = tracing::info_span!(parent: None, "import", integration = id);
            refresh(&inner, &id).instrument(span).await;
            inner.import_ended();
        }
        tokio::select! {
            () = inner.import_wake.notified() => {}
            () = tokio::time::sleep(inner.options.look_every) => {
                let now = inner.store.clock().now();
                mark(&inner, |integration| integration.next_refresh_at.is_none_or(|at| at <= now)).await;
            }
            () = stopped(&mut stop) => return,
        }
    }
}

/// Waits for the daemon's stop; the end of the daemon is one too.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopping| *stopping).await;
}

/// Makes every integration due.
pub(super) async fn mark_all(inner: &Inner) {
    mark(inner, |_| true).await;
}

/// Makes those integrations due.
async fn mark(inner: &Inner, which: impl Fn(&Integration) -> bool) {
    let mut page = PageRequest::largest();
    loop {
        match inner.store.integrations(&IntegrationFilter::default(), &page).await {
            Ok(found) => {
                lock(&inner.imports).due.extend(found.items.into_iter().filter(&which).map(|integration| integration.id));
                match found.next {
                    Some(next) => page = PageRequest::new(Some(crate::store::MAX_PAGE), Some(next)),
                    None => return,
                }
            }
            Err(error) => return tracing::error!(error = %Causes(&error), "the integrations cannot be listed"),
        }
    }
}

/// Whether integrations may be new or changed; finding out counts as importing, so that nobody takes the daemon for idle meanwhile.
fn begin_look(inner: &Inner) -> bool {
    let mut imports = lock(&inner.imports);
    let look = std::mem::take(&mut imports.look);
    if look {
        imports.current = Some(String::new());
    }
    look
}

fn next_due(inner: &Inner) -> Option<String> {
    let mut imports = lock(&inner.imports);
    let id = imports.due.pop_first();
    imports.current.clone_from(&id);
    id
}

/// Looks through one integration and says how it went.
async fn refresh(inner: &Arc<Inner>, id: &str) {
    let integration = match inner.store.integration(id).await {
        Ok(integration) => integration,
        Err(StoreError::NotFound { .. }) => return,
        Err(error) => return tracing::error!(integration = id, error = %Causes(&error), "an integration cannot be read"),
    };
    set_status(inner, id, IntegrationStatus::Importing, None).await;
    let outcome = match integration.kind {
        IntegrationKind::Folder => refresh_folder(inner, &integration).await,
        IntegrationKind::S3 => refresh_bucket(inner, &integration).await,
    };
    // Also after a bill that failed: what the others brought is there.
    let outcome = admit_customers(inner, &integration).await.and(outcome);
    match outcome {
        Ok(()) => {
            inner.tally.import_ended(true);
            set_status(inner, id, IntegrationStatus::Stable, None).await;
        }
        Err(error) => {
            inner.tally.import_ended(false);
            telemetry::failed(&Span::current());
            let reason = Causes(&error).to_string();
            tracing::warn!(integration = id, name = integration.name, reason, "import failed; what was published stays");
            set_status(inner, id, IntegrationStatus::Error, Some(&reason)).await;
        }
    }
}

/// Gives the customers that the bills name what is theirs, if the integration is set so.
async fn admit_customers(inner: &Inner, integration: &Integration) -> Result<(), ImportError> {
    let id = integration.id.as_str();
    if integration.create_tenants {
        find_customers(inner, id).await?;
    }
    let admitted = match inner.store.customers_admit(id).await {
        Err(StoreError::NotFound { .. }) => return Ok(()), // deleted meanwhile
        admitted => admitted?,
    };
    if admitted != CustomersAdmitted::default() {
        let CustomersAdmitted { created, assigned } = admitted;
        tracing::info!(integration = id, created, assigned, "customers of the bill are tenants");
        inner.wake.now();
    }
    Ok(())
}

/// Looks for customers in what is stored of bills whose reports name none: an earlier version did not look for them.
async fn find_customers(inner: &Inner, id: &str) -> Result<(), ImportError> {
    let published = inner.store.snapshots_published(None).await?;
    for snapshot in published.into_iter().filter(|snapshot| snapshot.integration_id == id && snapshot.report.get(CUSTOMERS).is_none()) {
        let (lake, snapshot_id) = (inner.data.charges().clone(), snapshot.id.clone());
        let found = blocking(move || {
            let mut held = lake.hold();
            Ok::<_, ImportError>(customers(&SnapshotReader::open(&part_paths(&mut held, &snapshot)?)?)?)
        });
        let found = found.await?;
        if !found.is_empty() {
            inner.store.snapshot_customers_put(&snapshot_id, &found).await?;
        }
    }
    Ok(())
}

async fn set_status(inner: &Inner, id: &str, status: IntegrationStatus, reason: Option<&str>) {
    match inner.store.integration_set_status(id, status, reason).await {
        Ok(_) => {
            let reason = reason.map(str::to_owned);
            inner.events.send(Event::Integration { id: id.to_owned(), state: status.name().to_owned(), reason });
        }
        Err(StoreError::NotFound { .. }) => {} // deleted meanwhile
        Err(error) => tracing::error!(integration = id, error = %Causes(&error), "an integration's state cannot be noted"),
    }
}

async fn refresh_folder(inner: &Arc<Inner>, integration: &Integration) -> Result<(), ImportError> {
    let path = PathBuf::from(&integration.location);
    let bills = blocking(move || find_bills(&path)).await?;
    let mut failed = Vec::new();
    for bill in bills {
        let hashed = bill.clone();
        let outcome = match blocking(move || hashed.digest().map_err(ImportError::from)).await {
            Ok(digest) => import_bill(inner, integration, &bill, &digest, None).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            failed.push(error);
        }
    }
    all_well(failed)
}

/// The integration's own. A tenant's never reads with the daemon's: those open the MSP's buckets.
async fn credentials(inner: &Inner, integration: &Integration) -> Result<Option<Credentials>, ImportError> {
    let Some(sealed) = inner.store.credentials_sealed(&integration.id).await? else {
        return if integration.tenant_id.is_some() { Err(ImportError::NoCredentials) } else { Ok(None) };
    };
    let secrets = Secrets::of(inner.data.root(), inner.store.clock().clone())?;
    let plain = secrets.open(&place_of(&integration.id), &sealed)?;
    serde_json::from_str(&plain).map(Some).map_err(|_| ImportError::Secret(secrets.other_key()))
}

/// What makes a bucket a folder.
struct Remote {
    bucket: Bucket,
    spool: PathBuf,
    objects: BTreeMap<PathBuf, ObjectMeta>,
}

async fn refresh_bucket(inner: &Arc<Inner>, integration: &Integration) -> Result<(), ImportError> {
    let location =
        BucketLocation { url: integration.location.clone(), endpoint: integration.endpoint.clone(), region: integration.region.clone() };
    let credentials = credentials(inner, integration).await?;
    let bucket = Bucket::open(&location, credentials)?;
    let remote = Remote { objects: bucket.list().await?, bucket, spool: inner.data.spool().join(&integration.id) };
    remote.bucket.mirror(&remote.spool, &remote.objects, &Progress::new()).await?;
    let path = remote.spool.clone();
    let bills = blocking(move || find_bills(&path)).await?;
    let mut failed = Vec::new();
    for bill in bills {
        let digest = bucket::digest_of(remote.objects_of(&bill));
        if let Err(error) = import_bill(inner, integration, &bill, &digest, Some(&remote)).await {
            failed.push(error);
        }
    }
    all_well(failed)
}

impl Remote {
    fn objects_of<'a>(&'a self, bill: &'a Bill) -> impl Iterator<Item = (&'a PathBuf, &'a ObjectMeta)> {
        bill.files.iter().filter_map(|path| self.objects.get_key_value(path.strip_prefix(&self.spool).ok()?))
    }
}

/// The bills at a path, at most one a period: a second one would replace the first at each look, and the first the second.
fn find_bills(path: &Path) -> Result<Vec<Bill>, ImportError> {
    let bills = discover(path)?;
    let mut known: BTreeMap<Period, &Path> = BTreeMap::new();
    for manifest in bills.iter().filter_map(|bill| bill.manifest.as_ref()) {
        let Some(period) = manifest.period else { continue };
        if let Some(first) = known.insert(period, &manifest.path) {
            let name = |path: &Path| path.display().to_string();
            return Err(ImportError::TwoBills { period, first: name(first), second: name(&manifest.path) });
        }
    }
    Ok(bills)
}

fn all_well(mut failed: Vec<ImportError>) -> Result<(), ImportError> {
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0)),
        more => {
            let mut reasons: Vec<String> = failed.iter().take(NAMED_BILLS).map(|error| Causes(error).to_string()).collect();
            if more > NAMED_BILLS {
                reasons.push(format!("and {} more bills", more - NAMED_BILLS));
            }
            Err(ImportError::Bills(reasons))
        }
    }
}

/// Imports one bill, unless its bytes are published already.
async fn import_bill(
    inner: &Arc<Inner>,
    integration: &Integration,
    bill: &Bill,
    digest: &str,
    remote: Option<&Remote>,
) -> Result<(), ImportError> {
    if !inner.store.snapshots_of_source(&integration.id, digest).await?.is_empty() {
        return Ok(());
    }
    let progress = Arc::new(Progress::new());
    lock(&inner.imports).progress = Some(Arc::clone(&progress));
    let telling = tokio::spawn(tell_progress(Arc::clone(inner), integration.id.clone(), Arc::clone(&progress)));
    let reading = tracing::info_span!("bill", files = bill.files.len());
    let outcome = read_and_publish(inner, integration, bill, digest, remote, &progress).instrument(reading.clone()).await;
    telemetry::note(&reading, "charges", i64::try_from(progress.rows()).unwrap_or(i64::MAX));
    telling.abort();
    lock(&inner.imports).progress = None;
    if let (Some(remote), Ok(())) = (remote, &outcome) {
        for path in bill.files.iter().filter(|path| path.starts_with(&remote.spool)) {
            bucket::release(path).map_err(|source| BucketError::File { path: path.clone(), source })?;
        }
    }
    outcome
}

async fn read_and_publish(
    inner: &Arc<Inner>,
    integration: &Integration,
    bill: &Bill,
    digest: &str,
    remote: Option<&Remote>,
    progress: &Arc<Progress>,
) -> Result<(), ImportError> {
    if let Some(remote) = remote {
        remote.bucket.fetch(&remote.spool, remote.objects_of(bill), progress).await?;
    }
    let manifest = bill.manifest.as_ref().map(|manifest| manifest.id.as_str());
    let import = inner.store.import_begin(&integration.id, digest, manifest).await?;
    let folder = inner.data.lake().join(&import.id);
    let published = async {
        let (source, dir, workers, progress) = (bill.clone(), folder.clone(), inner.options.workers, Arc::clone(progress));
        let (lake, id) = (inner.data.charges().clone(), import.id.clone());
        let contents = blocking(move || {
            let ingested = ingest(&source, &dir, workers, &progress)?;
            let contents = contents_of(&dir, ingested)?;
            let parts = contents.iter().flat_map(|content| &content.parts).map(|part| format!("{id}/{}", part.file_name));
            lake.publish(&parts.collect::<Vec<_>>())?;
            Ok(contents)
        });
        let contents = contents.await?;
        refuse_emptied(inner, integration, bill, &contents).await?;
        Ok::<_, ImportError>(inner.store.import_publish(&import.id, &contents).await?)
    };
    match published.await {
        Ok(snapshots) => {
            for snapshot in snapshots {
                inner.tally.imported(snapshot.charges);
                let (integration, period, rows) = (snapshot.integration_id, snapshot.period, snapshot.charges);
                inner.events.send(Event::Snapshot { integration, period, rows });
            }
            inner.wake.now();
            Ok(())
        }
        Err(error) => {
            if !inner.store.import_discard(&import.id).await? {
                tracing::warn!(error = %Causes(&error), "the bill is published, although its publication failed");
                inner.wake.now();
                return Ok(());
            }
            inner.data.charges().remove(&[import.id]).await; // what stays is litter
            Err(error)
        }
    }
}

/// A month that had charges and has none in its newest refresh would stay charged as it was, with nobody told.
async fn refuse_emptied(inner: &Inner, integration: &Integration, bill: &Bill, contents: &[PeriodContent]) -> Result<(), ImportError> {
    let Some((manifest, period)) = bill.manifest.as_ref().and_then(|manifest| Some((manifest, manifest.period?))) else { return Ok(()) };
    if contents.iter().any(|content| content.period == period) {
        return Ok(());
    }
    let published = inner.store.snapshots_published(Some(period)).await?;
    match published.into_iter().find(|snapshot| snapshot.integration_id == integration.id) {
        Some(before) => Err(ImportError::Emptied { manifest: manifest.path.display().to_string(), period, charges: before.charges }),
        None => Ok(()),
    }
}

async fn tell_progress(inner: Arc<Inner>, integration: String, progress: Arc<Progress>) {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        inner.events.send(Event::Import { integration: integration.clone(), position: Position::of(&progress) });
    }
}

/// What the store keeps of a written bill.
fn contents_of(folder: &Path, ingested: Ingested) -> Result<Vec<PeriodContent>, ImportError> {
    let report = serde_json::to_value(&ingested.report).unwrap_or_default();
    ingested.periods.into_iter().map(|written| content_of(folder, written, report.clone())).collect()
}

fn content_of(folder: &Path, written: WrittenPeriod, mut report: serde_json::Value) -> Result<PeriodContent, ImportError> {
    let paths: Vec<PathBuf> = written.parts.iter().map(|part| folder.join(&part.file_name)).collect();
    if let Some(report) = report.as_object_mut() {
        let reader = SnapshotReader::open(&paths)?;
        report.insert("commitment_owners".to_owned(), commitment_owners(&reader)?.into());
        let customers = customers(&reader)?;
        if !customers.is_empty() {
            report.insert(CUSTOMERS.to_owned(), serde_json::to_value(customers).unwrap_or_default());
        }
    }
    let mut subaccounts: BTreeMap<(String, String, String), SubaccountContent> = BTreeMap::new();
    for found in written.subaccounts {
        let account = found.billing_account_id.unwrap_or_default();
        let sub = found.sub_account_id.unwrap_or_default();
        let currency = found.currency.unwrap_or_else(|| crate::domain::charge::NO_CURRENCY.to_owned());
        let entry = subaccounts.entry((account.clone(), sub.clone(), currency.clone())).or_insert_with(|| SubaccountContent {
            billing_account_id: account,
            sub_account_id: sub,
            name: String::new(),
            provider: String::new(),
            currency,
            charges: 0,
            billed: Amount::ZERO,
        });
        // One account may buy from several providers (a marketplace): the first name and provider found stand for it.
        if entry.name.is_empty() {
            entry.name = found.name.unwrap_or_default();
        }
        if entry.provider.is_empty() {
            entry.provider = found.provider.unwrap_or_default();
        }
        entry.charges += found.rows;
        entry.billed = entry.billed.checked_add(found.billed).ok_or(ImportError::SumOutOfRange)?;
    }
    Ok(PeriodContent {
        period: written.period,
        parts: written.parts.into_iter().map(|part| Part { file_name: part.file_name, rows: part.rows, bytes: part.bytes }).collect(),
        charges: written.rows,
        totals: written.totals.into_iter().map(|t| CurrencyTotal { currency: t.currency, billed: t.billed }).collect(),
        report,
        subaccounts: subaccounts.into_values().collect(),
    })
}

/// Every account that bought a commitment by which a charge was priced: what a change of hands can matter to.
fn commitment_owners(reader: &SnapshotReader) -> Result<Vec<String>, ImportError> {
    const COLUMN: &str = "x_CommitmentOwnerAccountId";
    let mut owners = std::collections::BTreeSet::new();
    for (group, _) in reader.groups() {
        let batch = reader.read(group, &[COLUMN])?;
        if let Some(column) = batch.text(COLUMN) {
            owners.extend(column.values.iter().map(str::to_owned));
        }
    }
    Ok(owners.into_iter().collect())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, ImportError> + Send + 'static) -> Result<T, ImportError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ImportError::Panicked))
}
