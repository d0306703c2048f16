//! Work that nobody's bill waits for, on a thread that gives way: whatever else wants a processor gets it first.
//!
//! The thread is one of its own and ends with the work, since a process without privileges may lower a thread's priority and never raise
//! it again. Threads that the work starts are as low. Elsewhere than on Linux priorities belong to processes, and this is a thread as any
//! other.

/// Against threads of usual priority it gets a tenth of a processor that both want, and all of one that nobody else does. The lowest
/// would be a seventieth, in which an honest rule may never come to an end on a machine that is always busy.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// How much longer a call may take on such a thread.
pub(super) const SLOWER: u32 = 10;

/// Does the work; none if it panicked or could not be started, which the log tells.
pub(super) async fn quietly<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("quiet".to_owned()).spawn(move || {
        give_way();
        let _ = sender.send(work()); // whoever asked may be gone
    });
    if let Err(error) = thread {
        tracing::error!(%error, "a thread cannot be started");
        return None;
    }
    receiver.await.ok()
}

#[cfg(target_os = "linux")]
fn give_way() {
    // On Linux a priority is a thread's, and no process means this one.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "slow rules run at the usual priority");
    }
}

#[cfg(not(target_os = "linux"))]
const fn give_way() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_with_its_answer_and_a_panic_with_none() {
        assert_eq!(quietly(|| 7).await, Some(7));
        assert_eq!(quietly(|| -> u8 { panic!("on purpose") }).await, None);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_thread_and_those_that_it_starts_give_way_and_nobody_else_does() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let both = quietly(move || (niceness(), std::thread::spawn(niceness).join().unwrap())).await;
        assert_eq!(both, Some((NICENESS, NICENESS)));
        assert_eq!(niceness(), before);
    }
}
