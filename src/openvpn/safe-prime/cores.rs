//! The same work on several cores.
//! Knows nothing of the work.

use std::thread;

/// Does the work on so many threads at once, this one among them, until all of them have done it.
pub(crate) fn on_each(cores: usize, work: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 1..cores {
            scope.spawn(&work);
        }
        work();
    });
}
