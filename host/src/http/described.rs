//! What holds for every operation, said once and put into the document: problems that any call may meet, headers that any change may
//! carry, and parameters that are either absent or a text, never null.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Schema};

use super::conditional::exception;

/// An ETag as it was given, or `*`.
const ETAGS: &str = r#"^(\*|"[0-9]{1,18}")$"#;

/// Visible ASCII.
const KEYS: &str = "^[!-~]{1,200}$";

/// Completes the document that the handlers describe.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let operations = [("GET", &mut item.get), ("PUT", &mut item.put), ("POST", &mut item.post), ("DELETE", &mut item.delete)];
        for (method, operation) in operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?))) {
            if method == "POST" {
                may_carry(operation, "Idempotency-Key", "Sent again, the call gets the first answer again");
            }
            match exception(method, path) {
                None if method != "GET" => may_carry(operation, "If-Match", "The ETag that the change is meant for"),
                exception => {
                    operation.responses.responses.remove("412");
                    if let Some(exception) = exception {
                        let text = operation.description.get_or_insert_default();
                        if !text.is_empty() {
                            text.push_str("\n\n");
                        }
                        text.push_str(&format!("Takes no `If-Match`: {}.", exception.reason));
                    }
                }
            }
            complete_operation(operation);
        }
    }
    document
}

fn complete_operation(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            complete_parameter(parameter);
        }
    }
    let mut problems = vec![("429", "Too many requests; Retry-After says when to try again")];
    if operation.request_body.is_some() {
        problems.push(("413", "The body is larger than this address takes"));
        problems.push(("415", "The body is not of a type that this address takes"));
    }
    for (status, description) in problems {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(status, description)));
    }
}

fn problem(status: &str, description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(description).content("application/problem+json", content);
    if status != "429" {
        return response.build();
    }
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
    response.header("Retry-After", HeaderBuilder::new().schema(Some(seconds)).build()).build()
}

fn complete_parameter(parameter: &mut Parameter) {
    if matches!(parameter.parameter_in, ParameterIn::Header | ParameterIn::Query)
        && let Some(schema) = &mut parameter.schema
    {
        not_null(schema);
    }
    let pattern = match parameter.name.as_str() {
        "If-Match" => ETAGS,
        "Idempotency-Key" => KEYS,
        _ => return,
    };
    if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema {
        object.pattern = Some(pattern.to_owned());
    }
}

/// A header or a query says nothing by being absent; there is no null in either.
fn not_null(schema: &mut RefOr<Schema>) {
    let only = match schema {
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|kind| *kind != Type::Null);
                if let [only] = types.as_slice() {
                    object.schema_type = SchemaType::Type(only.clone());
                }
            }
            return;
        }
        RefOr::T(Schema::OneOf(one)) => {
            one.items
                .retain(|item| !matches!(item, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null)));
            match one.items.as_slice() {
                [only] => only.clone(),
                _ => return,
            }
        }
        _ => return,
    };
    *schema = only;
}

/// Adds a header that a call may carry.
fn may_carry(operation: &mut Operation, name: &str, description: &str) {
    let header = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(header));
}
