//! Work that nobody's bill waits for, on a thread that gives way: whatever else wants a processor gets it first.
//!
//! The thread is one of its own and ends with the work, since a process without privileges may lower a thread's priority and never raise
//! it again. Threads that the work starts are as low. Elsewhere than on Linux priorities belong to processes, and this is a thread as any
//! other.
//!
//! On Linux it is scheduled as `SCHED_IDLE` (sched(7)): it is put off the moment anything else wakes, where a nice one keeps its processor
//! to the end of its slice, some milliseconds. Measured beside a rule that takes seconds, the p99 of others: 1.3 to 2 times that without it
//! at niceness 10, 0.8 to 1.3 times at this (benches/neighbours.rs). Where nothing ever rests it gets a three-hundredth of a processor; but
//! that is weighed against the daemon's own threads alone wherever a service or a container is a group of its own.

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
    use thread_priority::{ThreadPriority, set_thread_priority_and_policy, thread_native_id};
    let asked = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, IDLE);
    // The call also asks for niceness 0, which a daemon that was itself started nice may not have back.
    if let Err(error) = asked
        && !gives_way()
    {
        tracing::warn!(%error, "slow rules run at the usual priority");
    }
}

#[cfg(target_os = "linux")]
const IDLE: thread_priority::ThreadSchedulePolicy =
    thread_priority::ThreadSchedulePolicy::Normal(thread_priority::NormalThreadSchedulePolicy::Idle);

#[cfg(target_os = "linux")]
fn gives_way() -> bool {
    thread_priority::thread_schedule_policy().is_ok_and(|policy| policy == IDLE)
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
        let both = quietly(|| (gives_way(), std::thread::spawn(gives_way).join().unwrap())).await;
        assert_eq!(both, Some((true, true)));
        assert!(!gives_way());
    }
}
