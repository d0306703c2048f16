//! `/v1/virtual-integrations`: named views of some subaccounts, or of the charges that meet conditions.
//!
//! A view shows what was billed, whoever holds it, to those of the MSP who see every tenant and to tokens that show it alone; it gives nobody
//! anything and is not charged to anybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problems};
use super::extract::{Body, Everywhere, IfMatch, Path, Query, Views, page};
use super::reply;
use crate::clock::Moment;
use crate::domain::charge::kind_of;
use crate::domain::money::Amount;
use crate::domain::period::Period;
use crate::domain::rule::{Condition, Test};
use crate::jobs::virtuals::{self, Selection, VirtualError, VirtualMonth};
use crate::lake;
use crate::store::{Page, Snapshot, Store, StoreError, VirtualFields, VirtualIntegration};

/// What is listed when the caller names no columns.
const COLUMNS: [&str; 10] = [
    "BillingAccountId",
    "SubAccountId",
    "ChargePeriodStart",
    "ChargeCategory",
    "ServiceName",
    "RegionId",
    "ResourceId",
    "ChargeDescription",
    "BillingCurrency",
    "BilledCost",
];

/// Columns of one list.
const MAX_COLUMNS: usize = 200;

/// Charges of a page when the caller does not say.
const DEFAULT_LIMIT: usize = 100;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(virtual_list, virtual_create))
        .routes(routes!(virtual_get, virtual_update, virtual_delete))
        .routes(routes!(virtual_months))
        .routes(routes!(virtual_lines))
}

/// A condition as rules have them: a column and exactly one of the tests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"column": "Tags.team", "is_in": ["web"]}))]
pub struct Where {
    /// `Tags.<key>` or a text column of the bills.
    column: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_in: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_in: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    starts_with: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_null: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_null: Option<bool>,
}

impl Where {
    fn of(condition: Condition) -> Self {
        let mut written = Self { column: condition.column, ..Self::default() };
        match condition.test {
            Test::IsIn(values) => written.is_in = Some(values),
            Test::NotIn(values) => written.not_in = Some(values),
            Test::StartsWith(values) => written.starts_with = Some(values),
            Test::IsNull => written.is_null = Some(true),
            Test::NotNull => written.not_null = Some(true),
        }
        written
    }

    fn condition(self) -> Result<Condition, &'static str> {
        if self.is_null == Some(false) || self.not_null == Some(false) {
            return Err("is_null and not_null are only ever true; leave the other out");
        }
        let tests = [
            self.is_in.map(Test::IsIn),
            self.not_in.map(Test::NotIn),
            self.starts_with.map(Test::StartsWith),
            self.is_null.map(|_| Test::IsNull),
            self.not_null.map(|_| Test::NotNull),
        ];
        let mut tests = tests.into_iter().flatten();
        match (tests.next(), tests.next()) {
            (Some(test), None) => Ok(Condition { column: self.column, test }),
            _ => Err("a condition needs exactly one of is_in, not_in, starts_with, is_null, not_null"),
        }
    }
}

/// A virtual integration as the caller wants it: `subaccounts` or `where`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Web team", "where": [{"column": "Tags.team", "is_in": ["web"]}]}))]
struct VirtualBody {
    /// Unique, whatever its case.
    #[schema(max_length = 200)]
    name: String,
    /// Ids of subaccounts.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    subaccounts: Vec<String>,
    /// Conditions that all hold.
    #[serde(default, rename = "where")]
    #[schema(max_items = 20)]
    conditions: Vec<Where>,
}

impl VirtualBody {
    fn fields(self) -> ApiResult<VirtualFields> {
        let condition = |(place, written): (usize, Where)| {
            written.condition().map_err(|reason| ApiError::invalid_at(format!("/where/{place}"), reason))
        };
        let conditions = self.conditions.into_iter().enumerate().map(condition).collect::<ApiResult<Vec<Condition>>>()?;
        Ok(VirtualFields { name: self.name, subaccounts: self.subaccounts, conditions })
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct Virtual {
    id: String,
    name: String,
    subaccounts: Vec<String>,
    #[serde(rename = "where")]
    conditions: Vec<Where>,
    version: i64,
    created_at: Moment,
    updated_at: Moment,
}

impl From<VirtualIntegration> for Virtual {
    fn from(found: VirtualIntegration) -> Self {
        let VirtualIntegration { id, name, subaccounts, conditions, version, created_at, updated_at } = found;
        Self { id, name, subaccounts, conditions: conditions.into_iter().map(Where::of).collect(), version, created_at, updated_at }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct VirtualQuery {
    /// A part of the name, whatever its case.
    search: Option<String>,
    /// Items of a page, 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct MonthsQuery {
    /// All periods if absent.
    #[param(value_type = Option<String>, example = "2026-09")]
    period: Option<Period>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LinesQuery {
    #[param(value_type = String, example = "2026-09")]
    period: Period,
    /// Comma-separated.
    #[param(example = "ServiceName,BilledCost")]
    columns: Option<String>,
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What a view was billed, month by month.
#[derive(Debug, Serialize, ToSchema)]
struct Months {
    /// Ordered by period and currency; only months with a charge of it.
    items: Vec<MonthShown>,
}

/// A view's month in one currency.
#[derive(Debug, Serialize, ToSchema)]
struct MonthShown {
    #[schema(value_type = String)]
    period: Period,
    currency: String,
    charges: u64,
    billed: Amount,
    /// What is not in the view: both together are the bills, to the last digit. Absent for who sees the view only.
    #[serde(skip_serializing_if = "Option::is_none")]
    outside_charges: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outside_billed: Option<Amount>,
}

impl MonthShown {
    fn of(month: VirtualMonth, isolated: bool) -> Self {
        let VirtualMonth { period, currency, charges, billed, outside_charges, outside_billed } = month;
        let (outside_charges, outside_billed) = (Some(outside_charges), Some(outside_billed));
        let whole = Self { period, currency, charges, billed, outside_charges, outside_billed };
        if isolated { Self { outside_charges: None, outside_billed: None, ..whole } } else { whole }
    }
}

/// Charges of a view.
#[derive(Debug, Serialize, ToSchema)]
struct Lines {
    /// Column to value; amounts are exact decimals as text, null where a charge has none.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Map<String, Value>>,
    /// Where the next page begins. A page may be empty and have one all the same: the charges looked at had none of the view.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists virtual integrations, oldest first.
#[utoipa::path(get, path = "/v1/virtual-integrations", tag = "integrations", params(VirtualQuery),
    responses((status = 200, body = Page<Virtual>), Problems))]
async fn virtual_list(Views(store): Views, Query(query): Query<VirtualQuery>) -> ApiResult<Json<Page<Virtual>>> {
    let found = store.virtual_integrations(query.search.as_deref(), &page(query.limit, query.after)?).await?;
    Ok(Json(Page { items: found.items.into_iter().map(Virtual::from).collect(), next: found.next }))
}

/// Creates a virtual integration: an isolated view of some subaccounts, or of the charges that meet conditions.
#[utoipa::path(post, path = "/v1/virtual-integrations", tag = "integrations", request_body = VirtualBody,
    responses((status = 201, body = Virtual, headers(("ETag" = String), ("Location" = String))), Problems))]
async fn virtual_create(Everywhere(store): Everywhere, Body(body): Body<VirtualBody>) -> ApiResult<Response> {
    let made = store.virtual_create(&body.fields()?).await?;
    let (address, version) = (format!("/v1/virtual-integrations/{}", made.id), made.version);
    Ok(reply::created(&address, version, Virtual::from(made)))
}

/// Shows a virtual integration.
#[utoipa::path(get, path = "/v1/virtual-integrations/{id}", tag = "integrations", params(("id" = String, Path)),
    responses((status = 200, body = Virtual, headers(("ETag" = String))), Problems))]
async fn virtual_get(Views(store): Views, Path(id): Path<String>) -> ApiResult<Response> {
    let found = store.virtual_integration(&id).await?;
    Ok(reply::versioned(found.version, Virtual::from(found)))
}

/// Changes a virtual integration as a whole; all of it is checked before any of it counts.
#[utoipa::path(put, path = "/v1/virtual-integrations/{id}", tag = "integrations", request_body = VirtualBody,
    params(("id" = String, Path)),
    responses((status = 200, body = Virtual, headers(("ETag" = String))), Problems))]
async fn virtual_update(
    Everywhere(store): Everywhere,
    Path(id): Path<String>,
    IfMatch(expected): IfMatch,
    Body(body): Body<VirtualBody>,
) -> ApiResult<Response> {
    let updated = store.virtual_update(&id, &body.fields()?, expected).await?;
    Ok(reply::versioned(updated.version, Virtual::from(updated)))
}

/// Deletes a virtual integration; nothing of it is left.
#[utoipa::path(delete, path = "/v1/virtual-integrations/{id}", tag = "integrations",
    params(("id" = String, Path)),
    responses((status = 204), Problems))]
async fn virtual_delete(Everywhere(store): Everywhere, Path(id): Path<String>, IfMatch(expected): IfMatch) -> ApiResult<StatusCode> {
    store.virtual_delete(&id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells what a virtual integration was billed, by period and currency. What is in it and what is not are the published bills, to the last
/// digit; that is checked each time.
#[utoipa::path(get, path = "/v1/virtual-integrations/{id}/months", tag = "integrations", params(("id" = String, Path), MonthsQuery),
    responses((status = 200, body = Months), Problems))]
async fn virtual_months(
    State(state): State<AppState>,
    Views(store): Views,
    Path(id): Path<String>,
    Query(query): Query<MonthsQuery>,
) -> ApiResult<Json<Months>> {
    let selection = selection(&store, &id).await?;
    let snapshots = snapshots(&state, query.period).await?;
    let lake = state.data()?.charges().clone();
    let items = blocking(move || virtuals::months(&lake, &snapshots, &selection)).await?;
    let isolated = store.view().virtual_integration().is_some();
    Ok(Json(Months { items: items.into_iter().map(|month| MonthShown::of(month, isolated)).collect() }))
}

/// Lists the charges of a virtual integration in a period, as they were billed.
#[utoipa::path(get, path = "/v1/virtual-integrations/{id}/lines", tag = "integrations", params(("id" = String, Path), LinesQuery),
    responses((status = 200, body = Lines), Problems))]
async fn virtual_lines(
    State(state): State<AppState>,
    Views(store): Views,
    Path(id): Path<String>,
    Query(query): Query<LinesQuery>,
) -> ApiResult<Json<Lines>> {
    let columns = match &query.columns {
        None => COLUMNS.iter().map(|name| (*name).to_owned()).collect(),
        Some(list) => columns(list)?,
    };
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 || limit > lake::MAX_PAGE {
        return Err(ApiError::invalid(format!("limit is 1 to {}", lake::MAX_PAGE)));
    }
    let selection = selection(&store, &id).await?;
    let snapshots = snapshots(&state, Some(query.period)).await?;
    let from = query.cursor.as_deref().map(place).transpose()?;
    if let Some((snapshot, _, _)) = &from
        && !snapshots.iter().any(|known| known.id == *snapshot)
    {
        return Err(ApiError::conflict("a newer bill has taken the place of the one that this page is of; read from the first page again"));
    }
    let lake = state.data()?.charges().clone();
    let page = blocking(move || virtuals::page(&lake, &snapshots, &selection, &columns, from.as_ref(), limit)).await?;
    Ok(Json(Lines { items: page.charges, next: page.next.map(|(snapshot, group, row)| format!("{snapshot}.{group}.{row}")) }))
}

fn columns(list: &str) -> ApiResult<Vec<String>> {
    let columns: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    if columns.len() > MAX_COLUMNS {
        return Err(ApiError::invalid(format!("at most {MAX_COLUMNS} columns are listed")));
    }
    match columns.iter().find(|name| kind_of(name).is_none()) {
        Some(unknown) => Err(ApiError::invalid(format!("the query: columns: there is no column {unknown:?}"))),
        None => Ok(columns),
    }
}

fn place(cursor: &str) -> ApiResult<(String, usize, u32)> {
    let mut parts = cursor.split('.');
    let place = (|| {
        let found = (parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(found)
    })();
    place.ok_or_else(|| ApiError::invalid("the query: cursor: not a cursor of this list"))
}

async fn selection(store: &Store, id: &str) -> ApiResult<Selection> {
    let found = store.virtual_integration(id).await?;
    if !found.conditions.is_empty() {
        return Ok(Selection::Conditions(found.conditions));
    }
    let mut accounts: BTreeMap<String, _> = BTreeMap::new();
    for (integration, billing, sub) in store.virtual_accounts(id).await? {
        accounts.entry(integration).or_insert_with(std::collections::BTreeSet::new).insert((billing, sub));
    }
    Ok(Selection::Accounts(accounts))
}

/// In the order of their ids.
async fn snapshots(state: &AppState, period: Option<Period>) -> Result<Vec<Arc<Snapshot>>, StoreError> {
    Ok(state.store.snapshots_published(period).await?.into_iter().map(Arc::new).collect())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, VirtualError> + Send + 'static) -> ApiResult<T> {
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?.map_err(ApiError::internal)
}
