//! Lists of many that are cut short: by kills at random and at each call that changes the disk, by Ctrl-C, by a full disk.
//! Knows that the same command with `--skip-existing` must finish what is left, and that nothing may be double.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    common::{tree, vpnpki, Outcome},
    mount::Mount,
    site::Site,
    state::State,
    strace::{inject, trace, Call, Fault},
};

const LINE: &str = "issue --from people -o out";
const FINISH: &str = "issue --from people -o out --skip-existing";

/// A list of so many names.
fn names(many: usize) -> String {
    (0..many).map(|number| format!("user{number}")).collect::<Vec<_>>().join("\n")
}

/// An authority, a list of so many, and a directory for their bundles.
fn begin(site: &Site, many: usize) {
    fs::write(site.path("people"), names(many)).unwrap();
    fs::create_dir(site.path("out")).unwrap();
}

/// Everybody who has access has one certificate; every bundle is somebody's who has access, and whole. Gives how many
/// have access.
fn nothing_is_double(dir: &Path) -> usize {
    let state = State::sound(dir).unwrap();
    let names: Vec<String> = state.names().into_iter().map(|(name, _)| name).filter(|name| name != "server").collect();
    let distinct: BTreeSet<&String> = names.iter().collect();
    assert_eq!(names.len(), distinct.len(), "somebody has two certificates");
    for path in tree(&dir.join("out")).into_keys() {
        let file = path.to_string_lossy().into_owned();
        let name = file.strip_suffix(".ovpn").unwrap_or_else(|| panic!("stray: {file}"));
        assert!(distinct.contains(&name.to_owned()), "the bundle of {name}, who has no access");
        assert!(fs::read_to_string(dir.join("out").join(&path)).unwrap().ends_with("</tls-crypt>\n"), "{file} is cut");
    }
    names.len()
}

/// The same command finishes the rest: everybody has one certificate, and a bundle that works.
fn is_finished(dir: &Path, many: usize) {
    Outcome::of(&mut vpnpki(dir, FINISH)).succeeds();
    assert_eq!(nothing_is_double(dir), many);
    let bundles: Vec<_> = (0..many).map(|number| format!("out/user{number}.ovpn")).collect();
    for some in bundles.iter().step_by((many / 2).max(1)) {
        Outcome::of(&mut vpnpki(dir, &format!("verify {some}"))).succeeds();
    }
    assert_eq!(tree(&dir.join("out")).len(), many);
    let before = tree(dir);
    Outcome::of(&mut vpnpki(dir, FINISH)).succeeds();
    assert_eq!(tree(dir), before);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_list_that_is_killed_at_random_is_finished() {
    const MANY: usize = 600;
    let site = Site::with_authority("--no-export");
    begin(&site, MANY);
    let mut command = vpnpki(site.dir(), FINISH);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (mut longest, mut partly) = (Duration::from_secs(8), 0);
    for _ in 0..10 {
        if nothing_is_double(site.dir()) == MANY {
            break;
        }
        let begin = Instant::now();
        let mut child = command.spawn().expect("the program starts");
        thread::sleep(rand::random_range(Duration::ZERO..longest));
        let _ = child.kill();
        if child.wait().expect("a child of ours").success() {
            longest = begin.elapsed();
        }
        partly += usize::from((1..MANY).contains(&nothing_is_double(site.dir())));
    }
    println!("{partly} kills between two batches");
    is_finished(site.dir(), MANY);
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_batch_is_in_the_store_whole_or_not_at_all_wherever_it_is_cut() {
    const MANY: usize = 6;
    let site = Site::new();
    let _memory = Mount::new("-t tmpfs -o mode=0755 tmpfs", site.dir());
    let live = site.path("live");
    fs::create_dir(&live).unwrap();
    Outcome::of(&mut vpnpki(&live, "init --no-passphrase --remote 10.99.0.1 --no-export")).succeeds();
    fs::write(live.join("people"), names(MANY)).unwrap();
    fs::create_dir(live.join("out")).unwrap();
    site.tool("cp -a live saved").succeeds();
    let (outcome, calls) = trace(&live, LINE);
    outcome.succeeds();
    // each thread counts its own calls; those of one kind and number are one point
    let mut points: BTreeMap<(String, usize), Call> = BTreeMap::new();
    for call in calls.into_iter().filter(decides) {
        points.entry((call.name.clone(), call.nth)).or_insert(call);
    }
    for call in points.values() {
        for fault in if call.name == "linkat" { &[Fault::Kill][..] } else { &Fault::ALL } {
            site.tool("rm -rf live").succeeds();
            site.tool("cp -a saved live").succeeds();
            inject(&live, LINE, call, *fault);
            let have = nothing_is_double(&live);
            assert!(have == 0 || have == MANY, "{have} of {MANY} after {fault} at {}", call.text);
            is_finished(&live, MANY);
        }
    }
    println!("cut at {} calls", points.len());
    assert!(points.len() > 10, "few calls decide: {:?}", points.keys());
}

/// Whether the call makes something durable, or gives a bundle its name or its place in memory.
fn decides(call: &Call) -> bool {
    ["syncfs", "fsync", "fdatasync", "linkat"].contains(&call.name.as_str()) || call.text.contains("O_TMPFILE")
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_kill_in_a_later_batch_leaves_those_before_it_whole() {
    const MANY: usize = 300;
    let site = Site::with_authority("--no-export");
    begin(&site, MANY);
    // the first bundles of the first batch, the last one, the first of the second
    for (nth, have, bundles) in [(2, 256, 1), (256, 256, 255), (258, 300, 257)] {
        let call = Call { name: "linkat".to_owned(), nth, text: String::new() };
        site.tool("cp -a pki saved").succeeds();
        inject(site.dir(), LINE, &call, Fault::Kill);
        assert_eq!((nothing_is_double(site.dir()), tree(&site.path("out")).len()), (have, bundles), "link {nth}");
        is_finished(site.dir(), MANY);
        site.tool("rm -rf pki out").succeeds();
        site.tool("mv saved pki").succeeds();
        fs::create_dir(site.path("out")).unwrap();
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn ctrl_c_leaves_whole_batches_and_says_what_to_type() {
    const MANY: usize = 4000;
    for signal in ["INT", "TERM"] {
        let site = Site::with_authority("--no-export");
        begin(&site, MANY);
        let mut command = vpnpki(site.dir(), LINE);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        // bundles appear with the first batch
        while tree(&site.path("out")).is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        Outcome::of(Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string())).succeeds();
        let output = child.wait_with_output().expect("its end");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("of 4000 are done") && told.contains("`--skip-existing` finishes the rest"), "{told}");
        let have = nothing_is_double(site.dir());
        assert!(have.is_multiple_of(256) && have > 0, "{have}");
        assert!(told.contains(&format!("{have} of 4000")), "{told}");
        assert_eq!(tree(&site.path("out")).len(), have, "a batch that is done has its bundles");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_full_disk_leaves_whole_batches_and_says_what_is_done() {
    let site = Site::new();
    let _small = Mount::new("-t tmpfs -o size=9m,mode=0755 tmpfs", site.dir());
    site.run("init --no-passphrase --remote 10.99.0.1 --no-export").succeeds();
    begin(&site, 2000);
    let outcome = site.run(LINE).exits(1).says("`--skip-existing` finishes the rest");
    assert!(["space", "full"].iter().any(|word| outcome.stderr.contains(word)), "{outcome}");
    let have = nothing_is_double(site.dir());
    assert!(have.is_multiple_of(256) && have > 0, "{have}");
    assert!(outcome.stderr.contains(&format!("{have} of 2000 are done")), "{outcome}");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn many_bundles_are_durable_before_the_store_is_and_no_file_waits_alone() {
    let site = Site::with_authority("--no-export");
    begin(&site, 40);
    let (outcome, calls) = trace(site.dir(), LINE);
    outcome.succeeds();
    let shown = || calls.iter().map(|call| call.text.as_str()).collect::<Vec<_>>().join("\n");
    let place = |found: &dyn Fn(&str, &str) -> bool| calls.iter().position(|call| found(&call.name, &call.text));
    let settled = place(&|name, _| name == "syncfs").unwrap_or_else(|| panic!("no syncfs:\n{}", shown()));
    let appears = place(&|name, _| name == "linkat").expect("bundles appear by links");
    let is_wait = |call: &Call| ["fsync", "fdatasync"].contains(&call.name.as_str());
    let commit = |call: &Call| is_wait(call) && call.text.contains("pki.db-wal");
    assert!(calls[settled..appears].iter().any(commit), "not committed in between:\n{}", shown());
    let waits = calls.iter().filter(|call| is_wait(call)).count();
    assert!(waits < 12, "{waits} waits for 40 bundles:\n{}", shown());
    let last = calls.iter().rposition(|call| call.name == "linkat").expect("as before");
    let directory = |call: &Call| is_wait(call) && call.text.contains("/out");
    assert!(calls[last..].iter().any(directory), "the names are not durable:\n{}", shown());
}

/// While one batch is committed, the next ones are made: none of their bundles gets a name before its own commit.
#[test]
#[ignore = "needs root and peers: tests/run"]
fn each_batch_is_durable_before_it_is_recorded_and_recorded_before_it_is_released() {
    let site = Site::with_authority("--no-export");
    begin(&site, 600);
    let (outcome, calls) = trace(site.dir(), LINE);
    outcome.succeeds();
    let mut steps: Vec<(&str, usize)> = Vec::new();
    for call in &calls {
        let step = match call.name.as_str() {
            "syncfs" => "durable",
            "linkat" => "released",
            "fsync" | "fdatasync" if call.text.contains("pki.db-wal") => "recorded",
            "fsync" if call.text.contains("/out>") => "named",
            _ => continue,
        };
        match steps.last_mut() {
            Some((last, times)) if *last == step => *times += 1,
            _ => steps.push((step, 1)),
        }
    }
    let order: Vec<&str> = steps.iter().map(|(step, _)| *step).collect();
    let one = ["durable", "recorded", "released", "named"];
    assert_eq!(order[..12], one.repeat(3), "{steps:?}");
    let released: Vec<usize> = steps.iter().filter(|(step, _)| *step == "released").map(|(_, times)| *times).collect();
    assert_eq!(released, [256, 256, 88]);
}
