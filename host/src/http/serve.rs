//! Serving until told to stop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{AppState, metrics, router};

/// How long requests under way may still take when the daemon stops: a component of 32 MiB over a slow line, a download of a month. Service
/// managers wait for thirty seconds or longer before they kill.
const GRACE: Duration = Duration::from_secs(20);

/// Answers with metrics alone on an address of its own, for as long as it is polled.
pub async fn serve_metrics(listener: TcpListener, state: AppState) -> io::Result<()> {
    axum::serve(listener, metrics::router(state)).await
}

/// Answers on `listener` until `shutdown` is ready, then lets the requests under way end.
pub async fn serve(listener: TcpListener, state: AppState, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let (tell, mut told) = watch::channel(false);
    let stopping = async move {
        shutdown.await;
        let _ = tell.send(true);
    };
    let out_of_patience = async move {
        if told.wait_for(|stopping| *stopping).await.is_ok() {
            tokio::time::sleep(GRACE).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let server = axum::serve(listener, router(state).into_make_service_with_connect_info::<SocketAddr>()).with_graceful_shutdown(stopping);
    tokio::select! {
        served = server => served,
        () = out_of_patience => Ok(()),
    }
}
