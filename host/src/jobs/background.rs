//! Work that nobody's bill waits for: previews, and candidates in the shadow of the active version. One piece at a time, on half of the
//! cores and on threads that give way, so that imports and ratings go first.
//!
//! What is to be done is read from the store alone, so a restart loses nothing; a poke only says "look now".

use std::sync::Arc;
use std::time::Duration;

use super::importing::stopped;
use super::preview::{self, PreviewRequest};
use super::replay::{ReplayError, ReplayOptions};
use super::{Inner, lock, quiet};
use crate::domain::progress::Progress;
use crate::store::{Preview, StoreError};

/// After an error of the store: long enough not to fill the log, short enough to go on by itself.
const RETRY: Duration = Duration::from_secs(5);

/// How often progress is noted, for whoever asks.
const NOTED_EVERY: Duration = Duration::from_millis(500);

/// What is being computed.
pub(super) struct Working {
    pub(super) id: String,
    pub(super) progress: Arc<Progress>,
}

/// Runs until the daemon stops.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    loop {
        let pause = match step(&inner).await {
            Ok(true) if *stop.borrow() => return,
            Ok(true) => continue,
            Ok(false) => None,
            Err(error) => {
                tracing::error!(error = %super::engine::Causes(&error), "previews cannot be looked up");
                Some(RETRY)
            }
        };
        let pause = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = inner.background_wake.notified() => {}
            () = pause => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// Does one piece of work; false when there is none.
async fn step(inner: &Arc<Inner>) -> Result<bool, StoreError> {
    if let Some(preview) = inner.store.preview_start_next().await? {
        compute(inner, preview).await?;
        return Ok(true);
    }
    if let Some((shadow, run)) = inner.store.shadow_next().await? {
        super::shadow::look(inner, &shadow, &run).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Stops what is being computed, if it is this one, or whatever it is.
pub(super) fn cancel(inner: &Inner, id: Option<&str>) {
    if let Some(working) = lock(&inner.background).as_ref()
        && id.is_none_or(|id| working.id == id)
    {
        working.progress.cancel();
    }
}

async fn compute(inner: &Arc<Inner>, preview: Preview) -> Result<(), StoreError> {
    let outcome = match serde_json::from_value::<PreviewRequest>(preview.request) {
        Ok(request) => preview::Asked::read(request, &inner.store).await,
        Err(error) => Err(ReplayError::Invalid(error.to_string())),
    };
    let outcome = match outcome {
        Ok(asked) => {
            let telling = tell_progress(inner, &preview.id);
            let work = in_background(inner, &preview.id, move |inner, progress| {
                preview::compute(&inner.replayer, &asked, ReplayOptions::default().threads(), progress)
            });
            tokio::select! {
                outcome = work => outcome,
                () = telling => Err(ReplayError::Cancelled),
            }
        }
        Err(error) => Err(error),
    };
    let result = match outcome {
        // Deleted, or the daemon stops and the next start takes it up again.
        Err(ReplayError::Cancelled) => return Ok(()),
        Ok(result) => serde_json::to_value(&result).map_err(|error| error.to_string()),
        Err(error) => Err(super::engine::Causes(&error).to_string()),
    };
    // As often as it takes: what is not noted runs for everybody who looks, and nobody computes it again before a restart.
    let mut stop = inner.stop.subscribe();
    loop {
        match inner.store.preview_end(&preview.id, result.as_ref().map_err(String::as_str)).await {
            Err(error) if error.is_passing() => {
                tracing::error!(preview = preview.id, error = %super::engine::Causes(&error), "the end of a preview cannot be noted yet");
            }
            noted => return noted,
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = stopped(&mut stop) => return Ok(()),
        }
    }
}

/// Does blocking work under an id by which it can be cancelled.
pub(super) async fn in_background<T: Send + 'static>(
    inner: &Arc<Inner>,
    id: &str,
    work: impl FnOnce(&Inner, &Progress) -> Result<T, ReplayError> + Send + 'static,
) -> Result<T, ReplayError> {
    let progress = Arc::new(Progress::new());
    *lock(&inner.background) = Some(Working { id: id.to_owned(), progress: Arc::clone(&progress) });
    if *inner.stop.borrow() {
        progress.cancel(); // the stop may have come before there was anything to cancel
    }
    let working = Arc::clone(inner);
    let done = quiet::quietly(move || work(&working, &progress)).await;
    *lock(&inner.background) = None;
    done.unwrap_or_else(|| Err(ReplayError::Defect("it stopped on a defect in rerate; the log says where".to_owned())))
}

/// Notes the progress of a preview until it is deleted or dropped.
async fn tell_progress(inner: &Arc<Inner>, id: &str) {
    loop {
        tokio::time::sleep(NOTED_EVERY).await;
        let position = lock(&inner.background).as_ref().map(|working| (working.progress.done(), working.progress.total()));
        if let Some((done, total)) = position {
            // A note that is lost costs nothing: the next one says more.
            let _ = inner.store.preview_progress(id, done, total).await;
        }
    }
}
