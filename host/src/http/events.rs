//! `/v1/events`: what happens, as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as SentEvent, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;
use super::errors::Problems;
use super::extract::By;
use crate::events::Event;
use crate::store::Store;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(event_stream))
}

/// How often a quiet stream says that it is alive: shorter than the patience of common proxies.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Streams events: runs and their progress, imports, plugins. A hint each, not a record: a listener that falls behind gets `missed` and
/// reads again what it shows.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    responses((status = 200, content_type = "text/event-stream", body = String, description = "Server-sent events whose data is JSON"), Problems))]
async fn event_stream(State(state): State<AppState>, By(store): By) -> Sse<impl Stream<Item = Result<SentEvent, Infallible>>> {
    let goes_on = |received: &Result<Event, _>| futures::future::ready(!received.as_ref().is_ok_and(Event::is_last));
    let events = BroadcastStream::new(state.events.subscribe()).take_while(goes_on);
    let seen = move |received| {
        let store = store.clone();
        async move { seen(received, &store).await }
    };
    let events = events.filter_map(seen).map(|received| Ok(sent(received)));
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

/// What of an event somebody sees: of tenants theirs, and a tenant's people nothing of how it came about.
async fn seen(received: Result<Event, BroadcastStreamRecvError>, store: &Store) -> Option<Result<Event, BroadcastStreamRecvError>> {
    let Ok(event) = received else { return Some(received) };
    let view = store.view();
    let event = match event {
        Event::Run { ref tenant, .. } | Event::Withdrawn { ref tenant, .. } if !view.sees(tenant) => return None,
        Event::Run { id, tenant, period, currency, state, .. } if view.tenant().is_some() => {
            Event::Run { id, tenant, period, currency, state, reason: None }
        }
        event @ (Event::Run { .. } | Event::Withdrawn { .. } | Event::Stopping) => event,
        // Names the runs of every tenant.
        Event::Rating { .. } if !view.is_everything() => return None,
        _ if view.tenant().is_some() => return None,
        Event::Integration { id: ref integration, .. }
        | Event::Import { ref integration, .. }
        | Event::Snapshot { ref integration, .. }
            if !view.is_everything() && store.integration(integration).await.is_err() =>
        {
            return None;
        }
        event => event,
    };
    Some(Ok(event))
}

fn sent(received: Result<Event, BroadcastStreamRecvError>) -> SentEvent {
    match received {
        Ok(event) => SentEvent::default().event(event.name()).json_data(&event).unwrap_or_default(),
        Err(BroadcastStreamRecvError::Lagged(count)) => SentEvent::default().event("missed").data(format!("{{\"count\":{count}}}")),
    }
}
