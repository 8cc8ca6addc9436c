//! Ctrl-C, and what service managers send, while many things are done: the batch at hand ends, and what is done is told.
//! Knows nothing of the work.

use crate::{authority::Stop, cli::Failure};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// A wish to stop that the first signal sets; a second one ends the program at once, which leaves nothing half done either.
pub fn watched() -> Result<Stop, Failure> {
    let stop = Stop::default();
    for signal in [SIGINT, SIGTERM] {
        // in this order: the second signal finds the flag that the first has set
        flag::register_conditional_shutdown(signal, 128 + signal, stop.flag())
            .and_then(|_| flag::register(signal, stop.flag()))
            .map_err(|error| Failure::refused(format!("nothing was done: signals cannot be watched: {error}")))?;
    }
    Ok(stop)
}
