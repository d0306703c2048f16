//! The OpenAPI document, made from the handlers.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ObjectBuilder, OpenApi, RefOr, Schema};
use utoipa::{Modify, OpenApi as _, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::{ApiError, ApiResult, Problem, Problems};
use crate::clock::Moment;
use crate::domain::access::{Organisation, Role};
use crate::domain::money::Amount;
use crate::domain::period::Period;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Rerate",
        description = "Turns the bills that a cloud reseller receives into the bills it sends. Amounts are exact decimals, written as text. \
            Lists come in pages: ask again with `after` set to `next` until there is none. Errors are `application/problem+json`."
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
    security(("token" = []))
)]
struct Described;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The administrator's token is in `admin.token` in the daemon's data folder."))
            .build();
        document.components.get_or_insert_default().security_schemes.insert("token".to_owned(), SecurityScheme::Http(scheme).into());
    }
}

/// The document without its paths.
pub(super) fn described() -> OpenApi {
    Described::openapi()
}

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(document))
}

/// Shows this document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "session", responses((status = 200, body = Object), Problems))]
async fn document() -> ApiResult<Response> {
    static TEXT: LazyLock<Result<String, serde_json::Error>> = LazyLock::new(|| super::document().to_json());
    match &*TEXT {
        Ok(text) => Ok(([(header::CONTENT_TYPE, "application/json")], text.as_str()).into_response()),
        Err(error) => Err(ApiError::internal(error)),
    }
}

macro_rules! written_as_text {
    ($($value:ty: $name:literal, $description:literal, $pattern:literal, $example:literal;)*) => {$(
        impl PartialSchema for $value {
            fn schema() -> RefOr<Schema> {
                let schema = ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some($description))
                    .pattern(Some($pattern))
                    .examples([$example]);
                schema.into()
            }
        }
        impl ToSchema for $value {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    )*};
}

written_as_text! {
    Amount: "Amount", "An exact decimal with up to 18 decimals.", r"^-?[0-9]{1,38}(\.[0-9]{1,18})?$", "-12.500000000000000001";
    Period: "Period", "A billing period: a calendar month.", r"^[0-9]{4}-(0[1-9]|1[0-2])$", "2026-09";
    Moment: "Moment", "A time, in UTC.", r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$", "2026-09-01T12:00:00.250Z";
}

impl PartialSchema for Role {
    fn schema() -> RefOr<Schema> {
        let names = Self::ALL.map(Self::name);
        ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String).enum_values(Some(names)).into()
    }
}

impl ToSchema for Role {
    fn name() -> std::borrow::Cow<'static, str> {
        "Role".into()
    }
}

impl PartialSchema for Organisation {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("`msp`, or a tenant's id."))
            .pattern(Some("^(msp|tnt_[0-9a-z]{26})$"))
            .examples(["msp"]);
        schema.into()
    }
}

impl ToSchema for Organisation {
    fn name() -> std::borrow::Cow<'static, str> {
        "Organisation".into()
    }
}
