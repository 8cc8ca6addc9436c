//! Work on many things on every core, batch by batch: while the results of one batch are taken, in order and on the thread
//! that asked, the next ones are made; and how all of it is stopped. Knows nothing of what the work is.
//!
//! The pool of threads is rayon's, and starts with the first work on several things: an act on one starts no thread.

use std::{
    collections::VecDeque,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
        Arc, Mutex, PoisonError,
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

/// A batch: what its things share, and the things.
pub(super) type Things<C, T> = Result<(C, Vec<T>), AuthorityError>;

/// Does `work` on each thing of each batch, and hands the results to `take`, on this thread, batch by batch and in the order
/// of the things, while up to [`AHEAD`] later batches are under way. The first error, in order, ends it: of a thing, when
/// its batch would be taken, or of `take`. Batches are asked for when there is room for them.
pub(super) fn in_batches<C: Send + Sync, T: Send, R: Send>(
    crew: Crew,
    mut batches: impl Iterator<Item = Things<C, T>>,
    work: impl Fn(&C, T) -> Result<R, AuthorityError> + Sync,
    mut take: impl FnMut(&C, Vec<R>) -> Result<(), AuthorityError>,
) -> Result<(), AuthorityError> {
    if crew == Crew::Alone {
        return batches.try_for_each(|batch| {
            let (shared, things) = batch?;
            let done = things.into_iter().map(|thing| work(&shared, thing)).collect::<Result<_, _>>()?;
            take(&shared, done)
        });
    }
    let over = AtomicBool::new(false);
    rayon::in_place_scope(|scope| {
        let start = |batch: Things<C, T>| batch.map(|(shared, things)| begin(scope, shared, things, &work, &over));
        let mut under_way: VecDeque<_> = batches.by_ref().take(AHEAD).map(start).collect();
        let mut outcome = Ok(());
        while outcome.is_ok() {
            let Some(batch) = under_way.pop_front() else { break };
            outcome = batch.and_then(UnderWay::wait).and_then(|(shared, done)| {
                under_way.extend(batches.next().map(start));
                take(&shared, done)
            });
        }
        over.store(true, Ordering::Relaxed);
        outcome
    })
}

/// A batch that is worked on.
struct UnderWay<C, R> {
    shared: Arc<C>,
    many: usize,
    receive: Receiver<Vec<(usize, Result<R, AuthorityError>)>>,
}

/// Begins `work` on each thing without waiting for it: every thread takes the next thing until none is left, and hands over
/// all that it did at once, since to wake somebody for each takes as long as a small thing. Once `over` is set, or one
/// of them has failed, what was not begun is left.
fn begin<'s, C: Send + Sync + 's, T: Send + 's, R: Send + 's>(
    scope: &Scope<'s>,
    shared: C,
    things: Vec<T>,
    work: &'s (impl Fn(&C, T) -> Result<R, AuthorityError> + Sync),
    over: &'s AtomicBool,
) -> UnderWay<C, R> {
    let (send, receive) = mpsc::channel();
    let (shared, many) = (Arc::new(shared), things.len());
    let queue = Arc::new(Mutex::new(things.into_iter().enumerate()));
    for _ in 0..rayon::current_num_threads().min(many) {
        let (shared, queue, send) = (Arc::clone(&shared), Arc::clone(&queue), send.clone());
        scope.spawn(move |_| {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let mut done = Vec::new();
            while let Some((place, thing)) = next().filter(|_| !over.load(Ordering::Relaxed)) {
                let result = work(&shared, thing);
                let failed = result.is_err();
                done.push((place, result));
                if failed {
                    queue.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(drop);
                }
            }
            // nobody listens any more after an error
            let _ = send.send(done);
        });
    }
    UnderWay { shared, many, receive }
}

impl<C, R> UnderWay<C, R> {
    /// The results, in the order of the things; the first error, since things are begun in order.
    fn wait(self) -> Things<Arc<C>, R> {
        let mut done: Vec<_> = self.receive.iter().flatten().collect();
        done.sort_unstable_by_key(|(place, _)| *place);
        let done: Vec<R> = done.into_iter().map(|(_, result)| result).collect::<Result<_, _>>()?;
        // a thread that panics hands over nothing; the scope passes the panic on
        if done.len() == self.many {
            Ok((self.shared, done))
        } else {
            Err(AuthorityError::Stopped)
        }
    }
}

/// How many batches are under way beside the one that is taken: with one alone, the cores would wait whenever a commit takes
/// longer than a batch.
pub(super) const AHEAD: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of ten of the numbers up to this one, each of which knows its place.
    fn tens(many: u32) -> impl Iterator<Item = Things<u32, u32>> {
        (0..many).step_by(10).map(move |first| Ok((first / 10, (first..many.min(first + 10)).collect())))
    }

    fn uneven(number: u32) -> u32 {
        if number.is_multiple_of(3) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        number
    }

    #[test]
    fn batches_come_in_order_and_each_in_the_order_of_its_things() {
        for crew in [Crew::Alone, Crew::All] {
            for many in [0, 1, 10, 57] {
                let (mut taken, mut places) = (Vec::new(), Vec::new());
                let work = |place: &u32, number| Ok((*place, uneven(number)));
                let outcome = in_batches(crew, tens(many), work, |place, done| {
                    assert!(done.iter().all(|(of, _)| of == place));
                    places.push(*place);
                    taken.extend(done.into_iter().map(|(_, number)| number));
                    Ok(())
                });
                assert!(outcome.is_ok());
                assert_eq!(taken, (0..many).collect::<Vec<_>>(), "{crew:?}");
                assert_eq!(places, (0..many.div_ceil(10)).collect::<Vec<_>>(), "{crew:?}");
            }
        }
    }

    /// What fails first, in order, is told, and only when those before it were taken.
    #[test]
    fn a_batch_that_fails_is_its_first_error_after_those_before_it() {
        for crew in [Crew::Alone, Crew::All] {
            let mut taken = Vec::new();
            let work = |_: &u32, number| match uneven(number) {
                number if number >= 24 => Err(AuthorityError::Usage(number.to_string())),
                number => Ok(number),
            };
            let outcome = in_batches(crew, tens(50), work, |_, done| {
                taken.extend(done);
                Ok(())
            });
            assert_eq!(outcome.unwrap_err().to_string(), "24", "{crew:?}");
            assert_eq!(taken, (0..20).collect::<Vec<_>>(), "{crew:?}");
        }
    }

    #[test]
    fn no_more_is_begun_than_there_is_room_for_and_nothing_after_the_end() {
        for (crew, ahead) in [(Crew::Alone, 0), (Crew::All, AHEAD)] {
            let (asked, mut taken) = (std::cell::Cell::new(0), 0);
            let batches = tens(1000).inspect(|_| asked.set(asked.get() + 1));
            let outcome = in_batches(
                crew,
                batches,
                |_, number| Ok(uneven(number)),
                |_, done| {
                    assert_eq!(done.len(), 10);
                    taken += 1;
                    assert!(asked.get() <= taken + ahead, "{} batches asked for at the {taken}.", asked.get());
                    if taken == 5 {
                        Err(AuthorityError::Stopped)
                    } else {
                        Ok(())
                    }
                },
            );
            assert!(matches!(outcome, Err(AuthorityError::Stopped)));
            assert_eq!((taken, asked.get()), (5, 5 + ahead), "{crew:?}");
        }
    }

    #[test]
    fn things_that_cannot_be_read_are_an_error_in_their_turn() {
        for crew in [Crew::Alone, Crew::All] {
            let (batches, mut taken) = (tens(20).chain([Err(AuthorityError::Stopped)]), 0);
            let outcome = in_batches(
                crew,
                batches,
                |_, number| Ok(number),
                |_, done| {
                    taken += done.len();
                    Ok(())
                },
            );
            assert!(matches!(outcome, Err(AuthorityError::Stopped)));
            assert_eq!(taken, 20, "{crew:?}");
        }
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
