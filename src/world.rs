//! The clock and the system's randomness, read once per act and handed down.
//! Knows nothing of what they are used for; nothing else in the crate reads them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;
use rand::{
    rngs::{SysError, SysRng},
    TryRng,
};

use crate::time::Time;

/// Where an act gets its moment and its random bytes.
pub struct World(Source);

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random bytes, so nothing was done; see whether `/dev/urandom` can be read")]
pub struct WorldError(#[source] SysError);

impl World {
    /// The system's clock and generator.
    pub fn real() -> Self {
        Self(Source::Real)
    }

    /// A world that stands still: always `now`, and the same bytes for the same seed in the same order.
    /// Only code can choose it; no argument, setting or environment variable leads here.
    pub fn fixed(now: Time, seed: u64) -> Self {
        Self(Source::Fixed { now, seed, drawn: AtomicU64::new(0) })
    }

    /// The moment, in whole seconds.
    #[expect(clippy::disallowed_methods, reason = "this is the room that reads the clock")]
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::Real => since_1970(SystemTime::now()),
            Source::Fixed { now, .. } => *now,
        }
    }

    /// `N` random bytes from the system's generator.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], WorldError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Random bytes from the system's generator, as many as there is place for.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), WorldError> {
        match &self.0 {
            Source::Real => SysRng.try_fill_bytes(bytes).map_err(WorldError)?,
            Source::Fixed { seed, drawn, .. } => {
                for block in bytes.chunks_mut(digest::SHA256_OUTPUT_LEN) {
                    block.copy_from_slice(&repeatable(*seed, drawn.fetch_add(1, Ordering::Relaxed))[..block.len()]);
                }
            }
        }
        Ok(())
    }
}

enum Source {
    Real,
    Fixed { now: Time, seed: u64, drawn: AtomicU64 },
}

/// A clock before 1970 gives a negative time rather than an error: `revoke` must work even then.
fn since_1970(moment: SystemTime) -> Time {
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Time::from_unix(match moment.duration_since(UNIX_EPOCH) {
        Ok(after) => seconds(after),
        Err(before) => -seconds(before.duration()),
    })
}

fn repeatable(seed: u64, index: u64) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let digest = digest::digest(&digest::SHA256, &[seed.to_be_bytes(), index.to_be_bytes()].concat());
    let mut block = [0; digest::SHA256_OUTPUT_LEN];
    block.copy_from_slice(digest.as_ref());
    block
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_fixed_world_repeats_itself_and_nothing_else() {
        let world = |seed| World::fixed(Time::from_unix(7), seed);
        let draws = |world: &World| (world.random::<40>().unwrap(), world.random::<3>().unwrap());
        assert_eq!(draws(&world(1)), draws(&world(1)));
        assert_ne!(draws(&world(1)), draws(&world(2)));
        let one = world(1);
        assert_ne!(one.random::<16>().unwrap(), one.random::<16>().unwrap());
        assert_eq!(one.now(), Time::from_unix(7));
    }

    #[test]
    fn the_real_world_moves() {
        let world = World::real();
        assert_ne!(world.random::<32>().unwrap(), world.random::<32>().unwrap());
        assert!(world.now() > Time::parse("2026-01-01").unwrap());
    }

    #[test]
    fn a_clock_before_1970_is_a_time_too() {
        assert_eq!(since_1970(UNIX_EPOCH - Duration::from_secs(60)), Time::from_unix(-60));
        assert_eq!(since_1970(UNIX_EPOCH + Duration::from_secs(60)), Time::from_unix(60));
    }
}
