//! A tenant's rated charges: listed in pages, or handed out as a whole file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{By, Path, Query};
use crate::depot::Depot;
use crate::domain::charge::{
    APPLIED_RULES, COMMITMENT_OWNER, CUSTOMER_COST, Kind, LINE_TYPE, SHOWN, SHOWN_TO_TENANTS, TREATMENT, is_for_tenants, kind_of,
};
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rated::RatedLine;
use crate::domain::rule::{BillPeriod, Treatment};
use crate::jobs::address::Parts;
use crate::jobs::replay::ADDED;
use crate::lake::{self, Cursor, Export, Filter, Format, LakeError, OverlayReader, SnapshotReader, Test};
use crate::store::{Run, Store, StoreError, TenantView};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(line_list)).routes(routes!(line_export))
}

/// What is listed beside [`SHOWN`] when the caller names no columns.
const MORE_COLUMNS: [&str; 3] = [LINE_TYPE, COMMITMENT_OWNER, APPLIED_RULES];

/// Columns of one list. Every stored column at once is about half of it.
const MAX_COLUMNS: usize = 200;

/// What of the query is no filter.
const PARAMETERS: [&str; 5] = ["period", "currency", "columns", "limit", "cursor"];

/// Charges of a page when the caller does not say.
const DEFAULT_LIMIT: usize = 100;

/// Bytes of a file that are read at a time while it is sent.
const SENT_BYTES: usize = 256 << 10;

/// Threads of one export: it shares the machine with imports and ratings.
const EXPORT_WORKERS: usize = 2;

/// Charges as rated, and the lines that rules added.
#[derive(Debug, Serialize, ToSchema)]
struct Lines {
    run_id: String,
    period: Period,
    currency: String,
    /// Column to value; amounts are exact decimals as text, null where a charge has none.
    /// `key` names the charge at `/v1/charges/{key}/provenance`.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Map<String, Value>>,
    /// Lines that rules added; on the first page only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added: Vec<AddedLine>,
    /// Where the next page begins. It goes on in the same run, even if a newer one is published meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A line that a rule added, and what names it at `/v1/charges/{key}/provenance`.
#[derive(Debug, Serialize, ToSchema)]
struct AddedLine {
    key: String,
    #[serde(flatten)]
    line: RatedLine,
}

/// Charges as a tenant's people see them: what they are charged, and nothing of how it came about.
#[derive(Debug, Serialize, ToSchema)]
struct TenantLines {
    run_id: String,
    period: Period,
    currency: String,
    /// Column to value; amounts are exact decimals as text, null where a charge has none.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Map<String, Value>>,
    /// Charges and credits that are not of a single use; on the first page only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added: Vec<TenantAdded>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A charge or a credit that is not of a single use.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TenantAdded {
    key: String,
    sub_account_id: Option<String>,
    charge_category: String,
    service_name: String,
    description: String,
    charged: Amount,
}

impl TenantAdded {
    pub(super) const fn charged(&self) -> Amount {
        self.charged
    }
}

/// The MSP's side, or the tenant's.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum LinesView {
    Full(Lines),
    Tenant(TenantLines),
}

/// Lists a tenant's rated charges of a period. Every column may be a filter: `ServiceName=Amazon%20EC2` for equal, `ServiceName~=EC2` for
/// contains, `ResourceId=` for null. A tenant's people get a `TenantLines`: what they are charged, in the columns that they may see.
#[utoipa::path(get, path = "/v1/tenants/{id}/lines", tag = "lines",
    params(("id" = String, Path), ("period" = String, Query, example = "2026-09"),
        ("currency" = Option<String>, Query, description = "Needed where the tenant has bills in several"),
        ("columns" = Option<String>, Query, description = "Comma-separated", example = "ServiceName,BilledCost,x_CustomerCost"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000), ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, body = LinesView), Problems))]
async fn line_list(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> ApiResult<Json<LinesView>> {
    let tenant = store.view().tenant().cloned();
    let query = LineQuery::parse(query, tenant.is_some())?;
    let (run, from) = match &query.cursor {
        Some((run_id, cursor)) => (run_of(&store, &id, run_id).await?, *cursor),
        None => (published(&store, &id, query.period, query.currency.as_deref()).await?, Cursor::default()),
    };
    let accounts = tenant.as_ref().and_then(|tenant| tenant.accounts.clone());
    let first = query.cursor.is_none();
    let files = Files::of(&state, &run).await?;
    let (parts, asked) = (files.numbering.clone(), query.columns.iter().any(|name| name == KEY));
    let page = blocking(move || {
        let (snapshots, overlay) = files.open()?;
        let mut columns: Vec<&str> = query.columns.iter().map(String::as_str).collect();
        if !asked {
            columns.push(KEY);
        }
        lake::read_page_of(&[(&snapshots, &overlay)], &columns, &query.filters, accounts.as_deref(), from, query.limit)
    })
    .await?;
    let next = page.next.map(|cursor| format!("{}:{cursor}", run.id));
    let mut charges = page.charges;
    for (charge, (group, row)) in charges.iter_mut().zip(page.places) {
        let own = if asked { charge.get(KEY).cloned() } else { charge.remove(KEY) };
        let place = || parts.address(group, row).map(|address| Value::String(address.to_string()));
        charge.insert("key".to_owned(), own.filter(|key| !key.is_null()).or_else(place).unwrap_or_default());
    }
    let added = if first { added(run.lines) } else { Vec::new() };
    if let Some(tenant) = tenant {
        let added = tenant_added(added, &tenant);
        return Ok(Json(LinesView::Tenant(TenantLines {
            run_id: run.id,
            period: run.period,
            currency: run.currency,
            items: charges,
            added,
            next,
        })));
    }
    Ok(Json(LinesView::Full(Lines { run_id: run.id, period: run.period, currency: run.currency, items: charges, added, next })))
}

/// The source's own key of a charge.
const KEY: &str = "x_SourceRowKey";

/// Added lines have no key of their own: they are counted, rule by rule.
fn added(lines: Vec<RatedLine>) -> Vec<AddedLine> {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    let keyed = lines.into_iter().map(|line| {
        let number = counted.entry(line.rule_id.clone()).or_default();
        *number += 1;
        AddedLine { key: format!("{ADDED}{}:{number}", line.rule_id), line }
    });
    keyed.collect()
}

/// Of the added lines what a tenant's people see.
fn tenant_added(lines: Vec<AddedLine>, tenant: &TenantView) -> Vec<TenantAdded> {
    let theirs = lines.into_iter().filter(|added| lake::is_theirs(&added.line, tenant.accounts.as_deref()));
    let shown = theirs.map(|AddedLine { key, line }| TenantAdded {
        key,
        sub_account_id: line.line.sub_account_id,
        charge_category: line.line.charge_category,
        service_name: line.line.service_name,
        description: line.line.description,
        charged: line.customer_cost,
    });
    shown.collect()
}

/// What rules added to a run, as a tenant's people see it.
pub(super) fn tenant_added_of(lines: Vec<RatedLine>, tenant: &TenantView) -> Vec<TenantAdded> {
    tenant_added(added(lines), tenant)
}

struct LineQuery {
    period: Period,
    currency: Option<String>,
    columns: Vec<String>,
    filters: Vec<Filter>,
    /// A run and a place in it.
    cursor: Option<(String, Cursor)>,
    limit: usize,
}

impl LineQuery {
    /// A tenant's people name the columns that they may see, to list and to filter by: a filter tells as much as a list.
    fn parse(pairs: Vec<(String, String)>, for_tenant: bool) -> ApiResult<Self> {
        let bad = |name: &str, error: &dyn std::fmt::Display| ApiError::invalid(format!("the query: {name}: {error}"));
        let (mut period, mut currency, mut cursor, mut limit) = (None, None, None, DEFAULT_LIMIT);
        let more: &[&str] = if for_tenant { &[CUSTOMER_COST] } else { &MORE_COLUMNS };
        let shown = if for_tenant { &SHOWN[..SHOWN_TO_TENANTS] } else { &SHOWN[..] };
        let mut columns: Vec<String> = shown.iter().chain(more).map(|name| (*name).to_owned()).collect();
        let mut filters = Vec::new();
        let mut given = BTreeSet::new();
        for (name, value) in pairs {
            if PARAMETERS.contains(&name.as_str()) && !given.insert(name.clone()) {
                return Err(bad(&name, &"it is given twice"));
            }
            match name.as_str() {
                "period" => period = Some(value.parse().map_err(|error| bad("period", &error))?),
                "currency" => currency = Some(value),
                "columns" => columns = known_columns(&value)?,
                "limit" => {
                    let parsed: usize = value.parse().map_err(|error| bad("limit", &error))?;
                    if parsed == 0 || parsed > lake::MAX_PAGE {
                        return Err(ApiError::invalid(format!("limit is 1 to {}", lake::MAX_PAGE)));
                    }
                    limit = parsed;
                }
                "cursor" => {
                    let (run, place) = value.split_once(':').ok_or_else(|| bad("cursor", &"not a cursor of this list"))?;
                    cursor = Some((run.to_owned(), place.parse().map_err(|error| bad("cursor", &error))?));
                }
                _ => filters.push(filter(&name, value)?),
            }
        }
        if for_tenant {
            let asked = columns.iter().chain(filters.iter().map(|filter: &Filter| &filter.column));
            if let Some(hidden) = asked.into_iter().find(|name| !is_for_tenants(name)) {
                return Err(ApiError::forbidden(format!("the column {hidden} is the MSP's own")));
            }
            let dropped = Test::Differs(Treatment::Drop.name().to_owned());
            filters.push(Filter { column: TREATMENT.to_owned(), test: dropped });
        }
        let period = period.ok_or_else(|| bad("period", &"say which, as 2026-09"))?;
        Ok(Self { period, currency, columns, filters, cursor, limit })
    }
}

fn known_columns(list: &str) -> ApiResult<Vec<String>> {
    let columns: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    if columns.len() > MAX_COLUMNS {
        return Err(ApiError::invalid(format!("at most {MAX_COLUMNS} columns are listed")));
    }
    match columns.iter().find(|name| kind_of(name).is_none()) {
        Some(unknown) => Err(ApiError::invalid(format!("the query: columns: there is no column {unknown:?}"))),
        None => Ok(columns),
    }
}

fn filter(name: &str, value: String) -> ApiResult<Filter> {
    let (column, whole) = name.strip_suffix('~').map_or((name, true), |column| (column, false));
    let Some(kind) = kind_of(column) else {
        return Err(ApiError::invalid(format!("the query: {column}: neither a parameter nor a column")));
    };
    let test = match whole {
        false => Test::Contains(value),
        true if value.is_empty() => Test::Equals(None),
        true => Test::Equals(Some(as_listed(kind, value).map_err(|why| ApiError::invalid(format!("the query: {column}: {why}")))?)),
    };
    Ok(Filter { column: column.to_owned(), test })
}

/// A value as the list writes it: an amount is found however many zeros it ends with, and a day by its first instant.
fn as_listed(kind: Kind, value: String) -> Result<String, String> {
    match kind {
        Kind::Text => Ok(value),
        Kind::Money => value.parse().map(|amount: Amount| amount.to_string()).map_err(|error| format!("{value:?} is no amount: {error}")),
        Kind::Time => {
            let midnight = |day: jiff::civil::Date| day.to_zoned(jiff::tz::TimeZone::UTC).map(|day| day.timestamp());
            let time = value.parse::<jiff::Timestamp>().or_else(|_| value.parse().and_then(midnight));
            time.map(|time| time.to_string()).map_err(|_| format!("{value:?} is no time; write it as 2026-09-01T00:00:00Z"))
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    #[param(value_type = String, example = "2026-09")]
    period: Period,
    /// `parquet` or `csv`.
    #[param(value_type = String, example = "csv")]
    format: Format,
    /// Needed where the tenant has bills in several.
    currency: Option<String>,
}

/// Hands out a tenant's rated charges of a period as one file: every canonical column, the rated ones, the source's own, and the lines
/// that rules added. A tenant's people get what they are charged, in the columns that they may see.
#[utoipa::path(get, path = "/v1/tenants/{id}/export", tag = "lines", params(("id" = String, Path), ExportQuery),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), Problems))]
async fn line_export(
    State(state): State<AppState>,
    By(store): By,
    Path(id): Path<String>,
    Query(query): Query<ExportQuery>,
) -> ApiResult<Response> {
    let tenant = store.view().tenant().cloned();
    let run = published(&store, &id, query.period, query.currency.as_deref()).await?;
    let files = Files::of(&state, &run).await?;
    let out = state.data()?.exports().join(state.store.clock().id("exp"));
    let bill = BillPeriod { period: run.period, currency: run.currency.clone() };
    let (lines, written) = (run.lines, out.clone());
    let exported = blocking(move || {
        let (snapshots, overlay) = files.open()?;
        let export = Export { sources: &[(&snapshots, &overlay)], lines: &lines, bill: &bill };
        match tenant {
            Some(tenant) => lake::tenant_file(&written, query.format, export, tenant.accounts.as_deref(), &Progress::new()),
            None => lake::export(&written, query.format, export, EXPORT_WORKERS, &Progress::new()),
        }
    });
    exported.await?;
    let file = tokio::fs::File::open(&out).await;
    // It lives on until it is sent; what a crash leaves is removed at the next start.
    let _ = tokio::fs::remove_file(&out).await;
    let file = file.map_err(ApiError::internal)?;
    let (kind, ending) = match query.format {
        Format::Parquet => ("application/vnd.apache.parquet", "parquet"),
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    let name = format!("attachment; filename=\"{id}-{}-{}.{ending}\"", run.period, run.currency);
    let length = file.metadata().await.map_err(ApiError::internal)?.len().to_string();
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name), (header::CONTENT_LENGTH, length)];
    Ok((headers, sent(file)).into_response())
}

/// The file in pieces, so that its size does not matter.
fn sent(file: tokio::fs::File) -> Body {
    Body::from_stream(futures::stream::try_unfold(file, async |mut file| {
        let mut piece = Vec::with_capacity(SENT_BYTES);
        let read = (&mut file).take(SENT_BYTES as u64).read_to_end(&mut piece).await?;
        Ok::<_, std::io::Error>((read > 0).then_some((piece, file)))
    }))
}

/// What readers are shown of the tenant's month.
pub(super) async fn published(store: &Store, tenant_id: &str, period: Period, currency: Option<&str>) -> ApiResult<Run> {
    store.tenant(tenant_id).await?;
    let runs = store.published_runs(Some(tenant_id), Some(period)).await?;
    let mut runs: Vec<Run> = runs.into_iter().filter(|run| currency.is_none_or(|wanted| run.currency == wanted)).collect();
    if runs.len() > 1 {
        let currencies: Vec<&str> = runs.iter().map(|run| run.currency.as_str()).collect();
        return Err(ApiError::invalid(format!("the tenant's bills of {period} are in {}: say which currency", currencies.join(" and "))));
    }
    runs.pop().ok_or_else(|| ApiError::not_found(format!("nothing is published for the tenant {tenant_id} in {period}")))
}

/// The run of a cursor, if it is the tenant's.
async fn run_of(store: &Store, tenant_id: &str, run_id: &str) -> ApiResult<Run> {
    let run = store.run(run_id).await?;
    if run.tenant_id == tenant_id { Ok(run) } else { Err(StoreError::NotFound { noun: "run", id: run_id.to_owned() }.into()) }
}

/// The files behind a run.
pub(super) struct Files {
    lake: Depot,
    /// Names and lengths.
    parts: Vec<(String, Option<u64>)>,
    numbering: Parts,
    overlay: String,
}

impl Files {
    pub(super) async fn of(state: &AppState, run: &Run) -> ApiResult<Arc<Self>> {
        let lake = state.data()?.charges().clone();
        let gone = || ApiError::conflict(format!("the charges of the run {} are not kept any more", run.id));
        let (mut parts, mut snapshots) = (Vec::new(), Vec::new());
        for id in &run.snapshots {
            let snapshot = match state.store.snapshot(id).await {
                Err(StoreError::NotFound { .. }) => return Err(gone()),
                found => found?,
            };
            parts.extend(snapshot.parts.iter().map(|part| (format!("{}/{}", snapshot.location, part.file_name), Some(part.bytes))));
            snapshots.push(snapshot);
        }
        let numbering = Parts::of(&snapshots);
        let overlay = run.overlay.clone().ok_or_else(gone)?;
        Ok(Arc::new(Self { lake, parts, numbering, overlay }))
    }

    /// Blocking: what is not at hand is fetched.
    pub(super) fn open(&self) -> Result<(SnapshotReader, OverlayReader), LakeError> {
        let mut held = self.lake.hold();
        let (parts, overlay) = (held.files(&self.parts)?, held.file(&self.overlay)?);
        Ok((SnapshotReader::open(&parts)?, OverlayReader::open(&overlay)?))
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, LakeError> + Send + 'static) -> ApiResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(LakeError::Depot(error))) => Err(error.into()),
        Ok(Err(LakeError::NoSuchColumn(name))) => Err(ApiError::invalid(format!("there is no column {name:?}"))),
        Ok(Err(error)) => Err(ApiError::internal(error)),
        Err(error) => Err(ApiError::internal(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, value: &str) -> Result<LineQuery, String> {
        let pairs = [("period", "2026-09"), (name, value)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        LineQuery::parse(pairs.into(), false).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn an_amount_and_a_time_are_found_however_they_are_written() {
        let found = |name: &str, value: &str| asked(name, value).unwrap().filters.remove(0).test;
        let equals = |text: &str| Test::Equals(Some(text.to_owned()));
        for (name, value, listed) in [
            ("BilledCost", "1.50", "1.5"),
            ("BilledCost", "-1e-7", "-0.0000001"),
            ("ChargePeriodStart", "2026-09-01", "2026-09-01T00:00:00Z"),
            ("ChargePeriodStart", "2026-09-01T02:00:00+02:00", "2026-09-01T00:00:00Z"),
            ("SubAccountId", "0012", "0012"),
        ] {
            assert_eq!(found(name, value), equals(listed), "{name}={value}");
        }
        assert_eq!(found("BilledCost", ""), Test::Equals(None));
        assert_eq!(found("BilledCost~", "1.50"), Test::Contains("1.50".to_owned()));
    }

    #[test]
    fn what_no_charge_can_have_and_what_is_said_twice_are_refused() {
        for (name, value, why) in [
            ("BilledCost", "abc", "is no amount"),
            ("ChargePeriodEnd", "September", "is no time"),
            ("period", "2026-08", "it is given twice"),
            ("Nothing", "x", "neither a parameter nor a column"),
        ] {
            let refused = asked(name, value).err().unwrap();
            assert!(refused.contains(name) && refused.contains(why), "{refused}");
        }
    }
}
