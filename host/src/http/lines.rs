//! A tenant's rated charges: listed in pages, or handed out as a whole file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
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
use super::extract::Query;
use crate::domain::charge::{APPLIED_RULES, COMMITMENT_OWNER, LINE_TYPE, SHOWN, kind_of};
use crate::domain::period::Period;
use crate::domain::progress::Progress;
use crate::domain::rated::RatedLine;
use crate::domain::rule::BillPeriod;
use crate::jobs::address::Parts;
use crate::jobs::replay::ADDED;
use crate::lake::{self, Cursor, Export, Filter, Format, LakeError, OverlayReader, SnapshotReader, Test};
use crate::store::{Run, StoreError};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(line_list)).routes(routes!(line_export))
}

/// What is listed beside [`SHOWN`] when the caller names no columns.
const MORE_COLUMNS: [&str; 3] = [LINE_TYPE, COMMITMENT_OWNER, APPLIED_RULES];

/// Columns of one list. Every stored column at once is about half of it.
const MAX_COLUMNS: usize = 200;

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

/// Lists a tenant's rated charges of a period. Every column may be a filter: `ServiceName=Amazon%20EC2` for equal, `ServiceName~=EC2` for
/// contains, `ResourceId=` for null.
#[utoipa::path(get, path = "/v1/tenants/{id}/lines", tag = "lines",
    params(("id" = String, Path), ("period" = String, Query, example = "2026-09"),
        ("currency" = Option<String>, Query, description = "Needed where the tenant has bills in several"),
        ("columns" = Option<String>, Query, description = "Comma-separated", example = "ServiceName,BilledCost,x_CustomerCost"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000), ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, body = Lines), Problems))]
async fn line_list(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> ApiResult<Json<Lines>> {
    let query = LineQuery::parse(query)?;
    let (run, from) = match &query.cursor {
        Some((run_id, cursor)) => (run_of(&state, &id, run_id).await?, *cursor),
        None => (published(&state, &id, query.period, query.currency.as_deref()).await?, Cursor::default()),
    };
    let first = query.cursor.is_none();
    let files = Files::of(&state, &run).await?;
    let (parts, asked) = (files.numbering.clone(), query.columns.iter().any(|name| name == KEY));
    let page = blocking(move || {
        let (snapshots, overlay) = files.open()?;
        let mut columns: Vec<&str> = query.columns.iter().map(String::as_str).collect();
        if !asked {
            columns.push(KEY);
        }
        lake::read_page(&[(&snapshots, &overlay)], &columns, &query.filters, from, query.limit)
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
    Ok(Json(Lines { run_id: run.id, period: run.period, currency: run.currency, items: charges, added, next }))
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
    fn parse(pairs: Vec<(String, String)>) -> ApiResult<Self> {
        let bad = |name: &str, error: &dyn std::fmt::Display| ApiError::invalid(format!("the query: {name}: {error}"));
        let (mut period, mut currency, mut cursor, mut limit) = (None, None, None, DEFAULT_LIMIT);
        let mut columns: Vec<String> = SHOWN.iter().chain(&MORE_COLUMNS).map(|name| (*name).to_owned()).collect();
        let mut filters = Vec::new();
        for (name, value) in pairs {
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
    let (column, test) = match name.strip_suffix('~') {
        Some(column) => (column, Test::Contains(value)),
        None => (name, Test::Equals((!value.is_empty()).then_some(value))),
    };
    if kind_of(column).is_none() {
        return Err(ApiError::invalid(format!("the query: {column}: neither a parameter nor a column")));
    }
    Ok(Filter { column: column.to_owned(), test })
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
/// that rules added.
#[utoipa::path(get, path = "/v1/tenants/{id}/export", tag = "lines", params(("id" = String, Path), ExportQuery),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), Problems))]
async fn line_export(State(state): State<AppState>, Path(id): Path<String>, Query(query): Query<ExportQuery>) -> ApiResult<Response> {
    let run = published(&state, &id, query.period, query.currency.as_deref()).await?;
    let files = Files::of(&state, &run).await?;
    let out = state.data()?.exports().join(state.store.clock().id("exp"));
    let bill = BillPeriod { period: run.period, currency: run.currency.clone() };
    let (lines, written) = (run.lines, out.clone());
    let exported = blocking(move || {
        let (snapshots, overlay) = files.open()?;
        let export = Export { sources: &[(&snapshots, &overlay)], lines: &lines, bill: &bill };
        lake::export(&written, query.format, export, EXPORT_WORKERS, &Progress::new())
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
pub(super) async fn published(state: &AppState, tenant_id: &str, period: Period, currency: Option<&str>) -> ApiResult<Run> {
    state.store.tenant(tenant_id).await?;
    let runs = state.store.published_runs(Some(tenant_id), Some(period)).await?;
    let mut runs: Vec<Run> = runs.into_iter().filter(|run| currency.is_none_or(|wanted| run.currency == wanted)).collect();
    if runs.len() > 1 {
        let currencies: Vec<&str> = runs.iter().map(|run| run.currency.as_str()).collect();
        return Err(ApiError::invalid(format!("the tenant's bills of {period} are in {}: say which currency", currencies.join(" and "))));
    }
    runs.pop().ok_or_else(|| ApiError::not_found(format!("nothing is published for the tenant {tenant_id} in {period}")))
}

/// The run of a cursor, if it is the tenant's.
async fn run_of(state: &AppState, tenant_id: &str, run_id: &str) -> ApiResult<Run> {
    let run = state.store.run(run_id).await?;
    if run.tenant_id == tenant_id { Ok(run) } else { Err(StoreError::NotFound { noun: "run", id: run_id.to_owned() }.into()) }
}

/// The files behind a run.
struct Files {
    parts: Vec<PathBuf>,
    numbering: Parts,
    overlay: PathBuf,
}

impl Files {
    async fn of(state: &AppState, run: &Run) -> ApiResult<Arc<Self>> {
        let lake = state.data()?.lake();
        let gone = || ApiError::conflict(format!("the charges of the run {} are not kept any more", run.id));
        let (mut parts, mut snapshots) = (Vec::new(), Vec::new());
        for id in &run.snapshots {
            let snapshot = match state.store.snapshot(id).await {
                Err(StoreError::NotFound { .. }) => return Err(gone()),
                found => found?,
            };
            parts.extend(snapshot.parts.iter().map(|part| lake.join(&snapshot.location).join(&part.file_name)));
            snapshots.push(snapshot);
        }
        let numbering = Parts::of(&snapshots);
        let overlay = lake.join(run.overlay.as_ref().ok_or_else(gone)?);
        Ok(Arc::new(Self { parts, numbering, overlay }))
    }

    fn open(&self) -> Result<(SnapshotReader, OverlayReader), LakeError> {
        Ok((SnapshotReader::open(&self.parts)?, OverlayReader::open(&self.overlay)?))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, LakeError> + Send + 'static) -> ApiResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(LakeError::NoSuchColumn(name))) => Err(ApiError::invalid(format!("there is no column {name:?}"))),
        Ok(Err(error)) => Err(ApiError::internal(error)),
        Err(error) => Err(ApiError::internal(error)),
    }
}
