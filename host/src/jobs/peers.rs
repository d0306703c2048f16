//! Several daemons on one PostgreSQL, and on one data folder or one bucket: one of them works, the others answer calls and stand by.
//!
//! Who works is said by a lease in the database. Its holder renews it; one that cannot stops its work before the lease ends, and one that
//! was stalled for longer finds every change refused, since each looks for the lease in its own transaction. What calls change through a
//! daemon that stands by is told to the one that works, and what happens there is told to whoever listens here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::engine::Causes;
use super::importing::stopped;
use super::{Change, Jobs, JobsError, Working, lock};
use crate::events::Event;
use crate::store::{Store, StoreError, Term};

/// How long the work stays a daemon's that says nothing any more.
const TTL: Duration = Duration::from_secs(10);
/// Between two renewals.
const BEAT: Duration = Duration::from_millis(3_300);
/// A holder that could not renew for this long gives up: its tasks end well before the lease does.
const GIVE_UP: Duration = Duration::from_secs(5);
/// Between two attempts to take the work.
const TAKE_EVERY: Duration = Duration::from_secs(1);
/// After an attempt that failed for another reason than the database.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
/// Between two looks at what others told.
const LISTEN: Duration = Duration::from_millis(200);
/// No statement here may keep the next renewal waiting.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long tasks that were told to end are waited for.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Renewals between two looks for what a lost daemon left and for changes whose hint was lost with it.
const TIDY_EVERY: u32 = 10;
/// Changes and events in one message; more of them are hints that say nothing new.
const MOST: usize = 500;

/// A message between daemons.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Message {
    #[serde(default)]
    changes: Vec<Change>,
    #[serde(default)]
    events: Vec<Event>,
}

/// The part of a daemon in the work.
struct Part {
    jobs: Arc<Jobs>,
    /// The term that is this daemon's, and when it last asked for more time.
    duty: Option<(Term, Instant)>,
    /// The last message that was read.
    heard: i64,
    /// Whether no other daemon is there.
    alone: bool,
    beats: u32,
    own: Receiver<Event>,
    trouble: Trouble,
}

/// Joins the other daemons, and takes the work if nobody has it.
pub(super) async fn join(jobs: Arc<Jobs>) -> Result<(), JobsError> {
    let store = &jobs.setup.store;
    let heard = store.message_last().await?;
    let alone = store.daemon_renew(millis(TTL)).await? <= 1;
    let own = jobs.setup.events.subscribe_own();
    let mut part = Part { jobs: Arc::clone(&jobs), duty: None, heard, alone, beats: 0, own, trouble: Trouble::default() };
    part.take().await?;
    if part.duty.is_none() {
        tracing::info!("another daemon works on this database: standing by");
    }
    let task = tokio::spawn(part.run());
    *lock(&jobs.part) = Some(task);
    Ok(())
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Whether the database answers. It is said when that changes, not several times a second.
#[derive(Debug, Default)]
struct Trouble(AtomicBool);

impl Trouble {
    /// A statement that is given up rather than waited for.
    async fn soon<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        let failed = match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(done)) => {
                if self.0.swap(false, Relaxed) {
                    tracing::info!("the database answers again");
                }
                return Some(done);
            }
            Ok(Err(error)) => Causes(&error).to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        if !self.0.swap(true, Relaxed) {
            tracing::warn!(error = failed, "the database that daemons share does not answer");
        }
        None
    }
}

impl Part {
    fn store(&self) -> &Store {
        &self.jobs.setup.store
    }

    async fn run(mut self) {
        let mut stop = self.jobs.stop.subscribe();
        let (mut beat_at, mut take_at) = (Instant::now() + BEAT, Instant::now() + TAKE_EVERY);
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                () = tokio::time::sleep(LISTEN) => {}
                // A component was activated through this daemon.
                () = self.jobs.setup.wake.woken(), if self.duty.is_none() => lock(&self.jobs.unsaid).push(Change::Rules),
            }
            if self.duty.is_some_and(|(_, renewed)| renewed.elapsed() > GIVE_UP) {
                tracing::warn!("the lease of the work cannot be renewed: standing by");
                self.step_down().await;
            }
            self.listen().await;
            self.speak().await;
            if Instant::now() >= beat_at && self.beat().await {
                beat_at = Instant::now() + BEAT;
            }
            if self.duty.is_none() && Instant::now() >= take_at {
                take_at = Instant::now() + TAKE_EVERY;
                if let Err(error) = self.take().await
                    && !self.trouble.0.load(Relaxed)
                {
                    tracing::error!(error = %Causes(&error), "the work cannot be taken over");
                    take_at += AFTER_FAILURE;
                }
            }
        }
        let term = self.duty.map(|(term, _)| term);
        self.step_down().await;
        if let Some(term) = term {
            self.trouble.soon(self.store().work_release(term)).await;
        }
        self.trouble.soon(self.store().daemon_leave()).await;
    }

    /// Begins the work if it is free.
    async fn take(&mut self) -> Result<(), JobsError> {
        let asked = Instant::now();
        let Some(term) = self.store().work_take(millis(TTL)).await? else { return Ok(()) };
        let newest = self.store().run_newest().await?;
        if let Some(ahead) = newest.filter(|at| *at > self.store().clock().now()) {
            tracing::warn!(%ahead, "this daemon's clock is behind that of another: it does not take the work over");
            self.store().work_release(term).await?;
            return Ok(());
        }
        self.duty = Some((term, asked));
        let mut beginning = tokio::spawn(Working::begin(Arc::clone(&self.jobs.setup), Some(term)));
        let begun = loop {
            tokio::select! {
                begun = &mut beginning => break begun,
                () = tokio::time::sleep(BEAT) => drop(self.renew(term).await),
            }
        };
        match begun {
            Ok(Ok(working)) => {
                tracing::info!("this daemon works now");
                *lock(&self.jobs.working) = Some(working);
                self.jobs.on_duty.send_replace(true);
                Ok(())
            }
            failed => {
                self.duty = None;
                self.store().work_release(term).await?;
                match failed {
                    Ok(Err(error)) => Err(error),
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    _ => Ok(()),
                }
            }
        }
    }

    async fn step_down(&mut self) {
        self.duty = None;
        self.jobs.on_duty.send_replace(false);
        let working = lock(&self.jobs.working).take();
        if let Some(working) = working
            && tokio::time::timeout(END_WITHIN, working.end()).await.is_err()
        {
            tracing::warn!("work under way did not end in time; nothing that it makes is published");
        }
    }

    /// Whether the work is still this daemon's; none if it could not be asked.
    async fn renew(&mut self, term: Term) -> Option<bool> {
        let asked = Instant::now();
        let renewed = self.trouble.soon(self.store().work_renew(term, millis(TTL))).await;
        if renewed == Some(true) {
            self.duty = Some((term, asked));
        }
        renewed
    }

    /// Says that this daemon is there and, if so, at work. False: try again soon.
    async fn beat(&mut self) -> bool {
        let there = self.trouble.soon(self.store().daemon_renew(millis(TTL))).await;
        self.alone = there.is_some_and(|there| there <= 1);
        let Some((term, _)) = self.duty else { return there.is_some() };
        match self.renew(term).await {
            None => return false,
            Some(false) => {
                tracing::warn!("another daemon has taken the work over: standing by");
                self.step_down().await;
            }
            Some(true) => self.tidy().await,
        }
        there.is_some()
    }

    async fn tidy(&mut self) {
        self.beats += 1;
        if self.beats.is_multiple_of(TIDY_EVERY) {
            self.trouble.soon(self.store().idempotency_release_all()).await;
            self.trouble.soon(self.store().deployments_interrupt()).await;
            self.jobs.setup.wake.now();
        }
    }

    /// Does what other daemons ask for, and tells what they tell.
    async fn listen(&mut self) {
        for (number, from_another, body) in self.trouble.soon(self.store().messages_after(self.heard)).await.unwrap_or_default() {
            self.heard = number;
            if !from_another {
                continue;
            }
            match serde_json::from_str::<Message>(&body) {
                Ok(message) => {
                    if let Some(working) = lock(&self.jobs.working).as_ref() {
                        message.changes.into_iter().for_each(|change| working.poke(change));
                    }
                    message.events.into_iter().for_each(|event| self.jobs.setup.events.relay(event));
                }
                Err(error) => tracing::warn!(%error, "a message of another version of the program"),
            }
        }
    }

    async fn speak(&mut self) {
        let mut events = Vec::new();
        loop {
            match self.own.try_recv() {
                Ok(event) => events.push(event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(_) => break,
            }
        }
        let changes = std::mem::take(&mut *lock(&self.jobs.unsaid));
        if self.alone || (changes.is_empty() && events.is_empty()) {
            return;
        }
        let message = Message { changes: shortened(changes), events: worth_telling(events) };
        let said = match serde_json::to_string(&message) {
            Ok(body) => self.trouble.soon(self.store().message_send(&body)).await,
            Err(_) => None,
        };
        if said.is_none() {
            lock(&self.jobs.unsaid).splice(0..0, message.changes);
        }
    }
}

/// Each change once.
fn shortened(changes: Vec<Change>) -> Vec<Change> {
    let mut kept: Vec<Change> = Vec::new();
    for change in changes {
        if kept.len() < MOST && !kept.contains(&change) {
            kept.push(change);
        }
    }
    kept
}

/// Of progress, the last of each; never the end of this daemon, which is not that of others.
fn worth_telling(events: Vec<Event>) -> Vec<Event> {
    let mut progress: BTreeMap<String, usize> = BTreeMap::new();
    for (place, event) in events.iter().enumerate() {
        if let Some(of) = progress_of(event) {
            progress.insert(of, place);
        }
    }
    let told = events
        .into_iter()
        .enumerate()
        .filter(|(place, event)| !event.is_last() && progress_of(event).is_none_or(|of| progress.get(&of) == Some(place)));
    told.map(|(_, event)| event).take(MOST).collect()
}

fn progress_of(event: &Event) -> Option<String> {
    match event {
        Event::Rating { runs, .. } => Some(runs.join(" ")),
        Event::Import { integration, .. } => Some(integration.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Position;

    #[test]
    fn a_message_has_the_last_progress_of_each_job_and_no_end_of_the_daemon() {
        let import = |integration: &str, done| Event::Import {
            integration: integration.to_owned(),
            position: Position { done, ..Position::default() },
        };
        let told = worth_telling(vec![import("a", 1), import("b", 1), Event::Stopping, import("a", 2)]);
        assert_eq!(told, [import("b", 1), import("a", 2)]);
        assert_eq!(shortened(vec![Change::Rules, Change::Tenants, Change::Rules]), [Change::Rules, Change::Tenants]);
    }

    #[test]
    fn what_is_told_is_understood() {
        let message = Message {
            changes: vec![Change::Refresh { integration_id: "int_1".to_owned() }, Change::Previews { deleted: None }],
            events: Vec::new(),
        };
        let read: Message = serde_json::from_str(&serde_json::to_string(&message).unwrap()).unwrap();
        assert_eq!(read.changes, message.changes);
    }
}
