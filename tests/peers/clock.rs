//! A clock that shows another time, for one program: libfaketime, loaded without its wrapper, which would stand between
//! us and the process. Knows no program.

use std::{
    process::Command,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use vpnpki::time::Time;

use crate::common::Outcome;

/// From its start the command sees this time; what waits is not faked.
pub fn set(command: &mut Command, time: Time) {
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
        let mut wrapper = Command::new("faketime");
        wrapper.args(["-f", "+0", "printenv", "LD_PRELOAD"]).env_remove("LD_PRELOAD");
        Outcome::of(&mut wrapper).succeeds().stdout.trim().to_owned()
    })
}
