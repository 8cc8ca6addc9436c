//! A clock that shows another time, for one program: libfaketime, loaded without its wrapper, which would stand between
//! us and the process. Knows no program.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use vpnpki::time::Time;

use crate::common::Outcome;

/// The wrapper of libfaketime, whose command sees the clock moved, say by `+8d`.
pub fn moved(by: &str) -> Command {
    sweep();
    let mut wrapper = Command::new("faketime");
    wrapper.args(["-f", by]);
    wrapper
}

/// From its start the command sees this time; what waits is not faked.
pub fn set(command: &mut Command, time: Time) {
    sweep();
    let shown = time.to_string().replace('T', " ").replace('Z', "");
    command.env("LD_PRELOAD", library()).env("TZ", "UTC");
    command.env("FAKETIME", format!("@{shown}")).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

/// So many days from now.
pub fn in_days(days: i64) -> Time {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    Time::from_unix(i64::try_from(seconds).expect("a clock before the end of days")).plus_days(days)
}

/// Where the library is, as its wrapper says.
fn library() -> &'static str {
    static LIBRARY: OnceLock<String> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut wrapper = moved("+0");
        wrapper.args(["printenv", "LD_PRELOAD"]).env_remove("LD_PRELOAD");
        Outcome::of(&mut wrapper).succeeds().stdout.trim().to_owned()
    })
}

/// libfaketime names its shared memory by the process, does not start where the name is taken, and leaves it behind when it
/// is killed: what belongs to nobody any more goes.
fn sweep() {
    let Ok(shared) = fs::read_dir("/dev/shm") else { return };
    for entry in shared.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = ["faketime_shm_", "sem.faketime_sem_"].iter().find_map(|prefix| name.strip_prefix(prefix));
        if owner.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // another test may have been first
            let _ = fs::remove_file(entry.path());
        }
    }
}
