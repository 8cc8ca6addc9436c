//! Work on many things on every core, its results taken in order on the thread that asked; work ahead for the next batch;
//! and how all of it is stopped. Knows nothing of what the work is.
//!
//! The pool of threads is rayon's, and starts with the first work on several things: an act on one starts no thread.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
        Arc,
    },
};

use rayon::Scope;

use crate::authority::AuthorityError;

/// Somebody's wish to end an act on many between two batches.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

/// An act on many that ended before all was done; what was done stands.
#[derive(Debug)]
pub struct Stopped {
    /// How many are done.
    pub done: usize,
    /// Of how many.
    pub of: usize,
    /// Why; [`AuthorityError::Stopped`] when somebody asked for it.
    pub why: AuthorityError,
}

impl Stop {
    /// Set by whoever wants an end, such as a signal.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether to end.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error when it is.
    pub(super) fn check(&self) -> Result<(), AuthorityError> {
        if self.is_asked() {
            return Err(AuthorityError::Stopped);
        }
        Ok(())
    }
}

/// Whether things are worked on at the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Crew {
    /// One after the other: a program of somebody else is run for each, or each takes hundreds of megabytes.
    Alone,
    /// On every core.
    All,
}

/// Does `work` on each thing, and hands each result to `take`, on this thread and in the order of the things, while later
/// ones are under way. `then` is called when all work is handed out. The first error, in order, ends it.
pub(super) fn in_order<T: Send, R: Send>(
    crew: Crew,
    things: Vec<T>,
    work: impl Fn(T) -> Result<R, AuthorityError> + Sync,
    mut take: impl FnMut(R) -> Result<(), AuthorityError>,
    then: impl FnOnce(),
) -> Result<(), AuthorityError> {
    if crew == Crew::Alone || things.len() < 2 {
        then();
        return things.into_iter().try_for_each(|thing| take(work(thing)?));
    }
    let over = AtomicBool::new(false);
    rayon::in_place_scope(|scope| {
        let under_way = ahead(scope, things, &work, &over);
        then();
        let taken = sorted(&under_way.receive).try_for_each(|result| take(result?));
        over.store(true, Ordering::Relaxed);
        taken
    })
}

/// What is under way.
pub(super) struct Ahead<R> {
    receive: Receiver<(usize, R)>,
}

/// Begins `work` on each thing without waiting for it. Once `over` is set, what was not begun is left.
pub(super) fn ahead<'s, T: Send + 's, R: Send + 's>(
    scope: &Scope<'s>,
    things: impl IntoIterator<Item = T>,
    work: &'s (impl Fn(T) -> R + Sync),
    over: &'s AtomicBool,
) -> Ahead<R> {
    let (send, receive) = mpsc::channel();
    for (place, thing) in things.into_iter().enumerate() {
        let send = send.clone();
        scope.spawn(move |_| {
            if !over.load(Ordering::Relaxed) {
                // nobody listens any more after an error
                let _ = send.send((place, work(thing)));
            }
        });
    }
    Ahead { receive }
}

impl<R> Ahead<R> {
    /// The results, in the order of the things.
    pub fn wait(self) -> impl Iterator<Item = R> {
        let Self { receive } = self;
        let all: Vec<R> = sorted(&receive).collect();
        all.into_iter()
    }
}

/// Results by their places; what came early waits.
fn sorted<R>(receive: &Receiver<(usize, R)>) -> impl Iterator<Item = R> + '_ {
    let (mut early, mut next) = (BTreeMap::new(), 0);
    std::iter::from_fn(move || {
        let found = loop {
            if let Some(found) = early.remove(&next) {
                break found;
            }
            let (place, result) = receive.recv().ok()?;
            early.insert(place, result);
        };
        next += 1;
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uneven(number: u32) -> Result<u32, AuthorityError> {
        if number.is_multiple_of(3) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        if number == 40 {
            return Err(AuthorityError::Stopped);
        }
        Ok(number)
    }

    #[test]
    fn results_come_in_order_and_the_first_error_ends_it() {
        for crew in [Crew::Alone, Crew::All] {
            let (mut taken, mut handed_out) = (Vec::new(), false);
            let take = |number| {
                taken.push(number);
                Ok(())
            };
            let outcome = in_order(crew, (0..50).collect(), uneven, take, || handed_out = true);
            assert!(matches!(outcome, Err(AuthorityError::Stopped)) && handed_out, "{crew:?}");
            assert_eq!(taken, (0..40).collect::<Vec<_>>(), "{crew:?}");
        }
    }

    #[test]
    fn work_ahead_is_in_order_and_ends_when_it_is_over() {
        let over = AtomicBool::new(false);
        let results = rayon::in_place_scope(|scope| ahead(scope, 0..30, &|number| number * 2, &over).wait());
        assert_eq!(results.collect::<Vec<_>>(), (0..30).map(|number| number * 2).collect::<Vec<_>>());
        over.store(true, Ordering::Relaxed);
        let none = rayon::in_place_scope(|scope| ahead(scope, 0..30, &|number| number, &over).wait());
        assert_eq!(none.count(), 0);
    }

    #[test]
    fn a_wish_to_stop_is_heard_by_all_copies() {
        let stop = Stop::default();
        let copy = stop.clone();
        assert!(copy.check().is_ok());
        stop.flag().store(true, Ordering::Relaxed);
        assert!(copy.is_asked() && copy.check().is_err());
    }
}
