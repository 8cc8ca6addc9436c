//! Kills at random moments under four writers at once, and what must hold after them.
//! Knows which of its own commands ended well before they were killed.

use std::{
    collections::BTreeSet,
    process::{ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use vpnpki::serial::Serial;

use crate::{
    common::{tree, vpnpki},
    site::Site,
    state::{named, published, State},
};

/// What one writer knows to be done, since the command said so before anything could befall it.
#[derive(Default)]
struct Done {
    issued: Vec<String>,
    revoked: Vec<String>,
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn random_kills_under_four_writers_lose_nothing_that_was_said_to_be_done() {
    let site = Site::with_authority("--publish served");
    lose_nothing(&site, 200, &|| published(&site.path("served/crl.pem")));
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn random_kills_while_names_come_and_go_lose_none() {
    let site = Site::with_authority("--no-export");
    site.set("server", "crl-dir", "names");
    site.run("export server --publish -o served").succeeds();
    lose_nothing(&site, 100, &|| named(&site.path("served/names")));
}

/// Four writers are killed so often; `served` is whom the server refuses after all of it.
fn lose_nothing(site: &Site, kills: usize, served: &dyn Fn() -> Result<Option<BTreeSet<Serial>>, String>) {
    let asked = std::env::var("VPNPKI_TEST_KILLS").ok();
    let kills = asked.map_or(kills, |number| number.parse().expect("a number of kills"));
    // late enough that some end well, early enough that some do not, on a fast machine and on a slow one
    let begin = Instant::now();
    site.run("issue first").succeeds();
    let longest = begin.elapsed() * 4;
    let done: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> =
            (0..4).map(|writer| scope.spawn(move || write(site, writer, kills / 4, longest))).collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer without a fault of its own")).collect()
    });
    let ended: usize = done.iter().map(|done| done.issued.len() + done.revoked.len()).sum();
    println!("{kills} commands killed, {ended} ended before");
    assert!(ended > kills / 10, "the kills come too early to show anything");

    site.run("crl publish").succeeds();
    let state = State::sound(site.dir()).unwrap();
    for done in &done {
        done.issued.iter().for_each(|name| assert_ne!(state.of(name), Vec::<&str>::new(), "{name} is lost"));
        for name in &done.revoked {
            let statuses = state.of(name);
            assert!(statuses.iter().all(|status| *status == "revoked"), "{name} is let in: {statuses:?}");
        }
    }
    assert_eq!(served().unwrap(), Some(state.revoked()));
    nothing_strange_lies_about(site, &state);
}

/// Beside the authority and the servers' directories: bundles of who was issued, and the documented leftover of a kill.
fn nothing_strange_lies_about(site: &Site, state: &State) {
    for path in tree(site.dir()).into_keys() {
        let name = path.to_string_lossy();
        let place = ["pki", "served"].iter().any(|place| path.starts_with(place));
        let bundle = name.strip_suffix(".ovpn").is_some_and(|peer| !state.of(peer).is_empty());
        assert!(place || bundle || name.contains(".vpnpki-new"), "stray: {name}");
    }
}

/// Issues, suspends, resumes, renews and revokes in turn, until so many commands were killed.
fn write(site: &Site, writer: usize, kills: usize, longest: Duration) -> Done {
    let (mut done, mut killed) = (Done::default(), 0);
    for time in 0.. {
        if killed == kills {
            break;
        }
        let name = format!("w{writer}-{}", time / ACTS.len());
        let act = ACTS[time % ACTS.len()];
        let line = if act == "renew" { format!("renew {name} --no-export") } else { format!("{act} {name}") };
        match (act, ended(site, &line, longest).code()) {
            (_, None) => killed += 1,
            ("issue", Some(0)) => done.issued.push(name),
            ("revoke", Some(0)) => done.revoked.push(name),
            (_, Some(code)) => {
                // nobody of this name, since its `issue` was killed; still suspended, since its `resume` was
                let foreseen = code == 0 || code == 1 && (act == "renew" || !done.issued.contains(&name));
                assert!(foreseen, "`{line}` ended with {code}");
            }
        }
    }
    done
}

const ACTS: [&str; 5] = ["issue", "suspend", "resume", "renew", "revoke"];

fn ended(site: &Site, line: &str, longest: Duration) -> ExitStatus {
    let mut child =
        vpnpki(site.dir(), line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    thread::sleep(rand::random_range(Duration::ZERO..longest));
    // it may have ended already: then there is nothing to kill
    let _ = child.kill();
    child.wait().expect("a child of ours")
}
