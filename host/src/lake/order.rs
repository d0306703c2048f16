//! Work that threads finish in any order, taken in its own order: how a file written by many threads comes out the same every time.
//!
//! What comes before its turn waits in memory while its thread goes on; only when too much waits does a thread stop, and giving up
//! wakes it.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::LakeError;

/// Bytes that may wait for an earlier piece: some ten chunks, so that a thread does not stop for its neighbours.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// Turns of waiting for room, and how long one is. A chunk takes a second or two; after ten minutes its thread is dead.
const WAIT_TURN: Duration = Duration::from_millis(200);
const MAX_WAIT_TURNS: u32 = 3_000;

/// Why a piece was not taken.
#[derive(Debug)]
pub(super) enum Disorder {
    Aborted,
    /// The piece of this number did not come.
    Missing(u32),
    Repeated,
    Failed(LakeError),
}

/// Pieces of type `T`, numbered from zero without gaps, on their way into `S`.
#[derive(Debug)]
pub(super) struct InOrder<S, T> {
    state: Mutex<State<S, T>>,
    moved: Condvar,
}

#[derive(Debug)]
struct State<S, T> {
    sink: S,
    next: u32,
    waiting: BTreeMap<u32, (usize, T)>,
    waiting_bytes: usize,
    aborted: bool,
}

impl<S, T> InOrder<S, T> {
    pub(super) fn new(sink: S) -> Self {
        let state = State { sink, next: 0, waiting: BTreeMap::new(), waiting_bytes: 0, aborted: false };
        Self { state: Mutex::new(state), moved: Condvar::new() }
    }

    /// Brings piece `number`; `take` gets it, and those that waited for it, when their turn has come. A failure is final.
    pub(super) fn put(
        &self,
        number: u32,
        bytes: usize,
        piece: T,
        mut take: impl FnMut(&mut S, T) -> Result<(), LakeError>,
    ) -> Result<(), Disorder> {
        let mut state = self.wait_for_room(number)?;
        if number < state.next || state.waiting.contains_key(&number) {
            return Err(Disorder::Repeated);
        }
        state.waiting_bytes += bytes;
        state.waiting.insert(number, (bytes, piece));
        while let Some((bytes, piece)) = state.take_next() {
            state.waiting_bytes -= bytes;
            state.next += 1;
            if let Err(error) = take(&mut state.sink, piece) {
                state.aborted = true;
                self.moved.notify_all();
                return Err(Disorder::Failed(error));
            }
        }
        self.moved.notify_all();
        Ok(())
    }

    fn wait_for_room(&self, number: u32) -> Result<MutexGuard<'_, State<S, T>>, Disorder> {
        let mut state = self.lock();
        for _ in 0..MAX_WAIT_TURNS {
            if state.aborted {
                return Err(Disorder::Aborted);
            }
            if number <= state.next || state.waiting_bytes < MAX_WAITING_BYTES {
                return Ok(state);
            }
            state = self.moved.wait_timeout(state, WAIT_TURN).unwrap_or_else(PoisonError::into_inner).0;
        }
        Err(Disorder::Missing(state.next))
    }

    /// Makes calls that wait, and later ones, fail.
    pub(super) fn abort(&self) {
        self.lock().aborted = true;
        self.moved.notify_all();
    }

    /// The sink, and how many pieces it took.
    pub(super) fn finish(self) -> Result<(S, u32), Disorder> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state {
            State { aborted: true, .. } => Err(Disorder::Aborted),
            State { waiting, next, .. } if !waiting.is_empty() => Err(Disorder::Missing(next)),
            State { sink, next, .. } => Ok((sink, next)),
        }
    }

    /// A thread that panicked with the lock has at worst left a piece out, which `finish` notices.
    fn lock(&self) -> MutexGuard<'_, State<S, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, T> State<S, T> {
    fn take_next(&mut self) -> Option<(usize, T)> {
        self.waiting.remove(&self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(sink: &mut Vec<u32>, piece: u32) -> Result<(), LakeError> {
        sink.push(piece);
        Ok(())
    }

    #[test]
    fn pieces_are_taken_in_their_order_from_any_threads() {
        let order = InOrder::new(Vec::new());
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let order = &order;
                scope.spawn(move || (0..100).rev().filter(|n| n % 4 == worker).for_each(|n| order.put(n, 1, n, push).unwrap()));
            }
        });
        let (sink, taken) = order.finish().unwrap();
        assert_eq!((sink, taken), ((0..100).collect(), 100));
    }

    #[test]
    fn a_thread_that_waits_for_a_lost_piece_is_woken_when_the_work_is_given_up() {
        let order = InOrder::new(Vec::new());
        order.put(1, MAX_WAITING_BYTES, 1, push).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| order.put(2, 1, 2, push));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            order.abort();
            assert!(matches!(waiting.join().unwrap(), Err(Disorder::Aborted)));
        });
        assert!(matches!(order.finish(), Err(Disorder::Aborted)));
    }

    #[test]
    fn the_piece_whose_turn_it_is_never_waits() {
        let order = InOrder::new(Vec::new());
        order.put(1, MAX_WAITING_BYTES, 1, push).unwrap();
        order.put(0, MAX_WAITING_BYTES, 0, push).unwrap();
        assert_eq!(order.finish().unwrap().0, [0, 1]);
    }

    #[test]
    fn a_sink_that_fails_fails_everyone_after() {
        let order = InOrder::new(Vec::new());
        order.put(1, 1, 1, push).unwrap();
        assert!(matches!(order.put(0, 1, 0, |_, _| Err(LakeError::Overflow)), Err(Disorder::Failed(LakeError::Overflow))));
        assert!(matches!(order.put(2, 1, 2, push), Err(Disorder::Aborted)));
    }
}
