//! Every command that changes something is killed, or let fail, at every call by which it touches the disk.
//! Knows how things look before and after a command that went well; there must be nothing between.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use vpnpki::serial::Serial;

use crate::{
    common::{tree, vpnpki, Outcome},
    mount::Mount,
    site::Site,
    state::{named, published, State},
    strace::{inject, trace, Call, Fault},
};

/// A command with what is done before it, and with what its user types when it was cut short.
struct Act<'a> {
    before: &'a [&'a str],
    line: &'a str,
    mend: &'a [&'a str],
}

/// How things look: files with their modes, the inventory when there is one, whom the server refuses.
struct Picture {
    tree: BTreeMap<PathBuf, u32>,
    state: Option<State>,
    served: Option<BTreeSet<Serial>>,
    /// Whether it refuses by names, which come and go one by one.
    by_name: bool,
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn init_is_all_or_nothing() {
    stands(&Act { before: &[], line: INIT, mend: &[&format!("{INIT} --if-missing"), MEND_INIT[0], MEND_INIT[1]] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn init_where_settings_lie_already_is_all_or_nothing() {
    let line = "init --no-passphrase --publish served --issue client1";
    let settings_alone = ["init --remote 10.99.0.1 --no-passphrase --no-export", "!rm pki/pki.db pki/vault.key"];
    let mend = [&format!("{line} --if-missing"), MEND_INIT[0], MEND_INIT[1]];
    stands(&Act { before: &settings_alone, line, mend: &mend });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn issue_is_all_or_nothing() {
    let mend = ["issue client3 --if-missing", "export client3 --force"];
    stands(&Act { before: &BEFORE, line: "issue client3", mend: &mend });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn export_of_each_format_leaves_nothing_unfinished() {
    for to in ["-o new.ovpn", "--format zip -o new.zip", "--format dir -o new"] {
        let line = format!("export client2 {to}");
        stands(&Act { before: &BEFORE, line: &line, mend: &[&format!("{line} --force")] });
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn export_over_an_older_bundle_leaves_one_of_the_two() {
    let line = "export client1 --force";
    stands(&Act { before: &BEFORE, line, mend: &[line] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_request_is_answered_whole_or_not_at_all() {
    let asked: Vec<_> = [&BEFORE[..], &["enroll client3"]].concat();
    let mend = ["issue client3 --csr client3.csr --if-missing", "export client3 --force"];
    stands(&Act { before: &asked, line: "issue client3 --csr client3.csr", mend: &mend });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn an_enrolment_leaves_a_key_that_can_be_asked_for_again() {
    let program = env!("CARGO_BIN_EXE_vpnpki");
    let again = format!("!if test -e laptop.key; then {program} enroll laptop --key-file laptop.key --force; else {program} enroll laptop; fi");
    stands(&Act { before: &BEFORE, line: "enroll laptop", mend: &[&again] });
    let before: Vec<_> = [&BEFORE[..], &["enroll laptop", "issue laptop --csr laptop.csr", AHEAD]].concat();
    let line = "enroll --finish laptop.ovpn";
    // whoever was answered that it is whole already has what they want
    let again = format!("!grep -q '<key>' laptop.ovpn || {program} {line}");
    stands(&Act { before: &before, line, mend: &[&again] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn an_encrypted_export_leaves_nothing_unfinished_and_nothing_in_clear() {
    let line = "export client2 --encrypt-to age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    stands(&Act { before: &BEFORE, line, mend: &[&format!("{line} --force")] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn revoke_is_all_or_nothing() {
    stands(&Act { before: &BEFORE, line: "revoke client1", mend: &["revoke client1"] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn renew_is_all_or_nothing() {
    let once = |line: &str| {
        let program = env!("CARGO_BIN_EXE_vpnpki");
        format!("!{program} list --history --status superseded -q | grep -q . || {program} {line} --force")
    };
    let line = "renew client1 client2 -o .";
    let before: Vec<_> = [&BEFORE[..], &["!rm client1.ovpn"]].concat();
    stands(&Act { before: &before, line, mend: &[&once(line), "export client1 client2 --force", "crl publish"] });
    let line = "renew server";
    stands(&Act { before: &BEFORE, line, mend: &[&once(line), "export server -o served --force", "crl publish"] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn suspend_and_resume_are_all_or_nothing() {
    stands(&Act { before: &BEFORE, line: "suspend client1", mend: &["suspend client1"] });
    let suspended: Vec<_> = [&BEFORE[..], &["suspend client1", AHEAD]].concat();
    stands(&Act { before: &suspended, line: "resume client1", mend: &["resume client1"] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn crl_ladder_is_all_or_nothing() {
    let short: Vec<_> = [&BEFORE[..], &["!sed -i 's/^.crl.$/[crl]\\ndays = 14/' pki/vpnpki.toml"]].concat();
    stands(&Act { before: &short, line: "crl ladder --weeks 3", mend: &["crl ladder --weeks 3"] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn crl_refresh_leaves_a_whole_crl() {
    stands(&Act { before: &BEFORE, line: "crl refresh", mend: &["crl refresh"] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_new_target_is_recorded_and_gets_its_crl_or_neither() {
    let copied: Vec<_> = [&BEFORE[..], &["!cp -a served elsewhere", "!cp empty.pem elsewhere/crl.pem", AHEAD]].concat();
    let line = "crl publish --add elsewhere";
    stands(&Act { before: &copied, line, mend: &[line] });
    let line = "export server --publish -o third";
    stands(&Act { before: &BEFORE, line, mend: &[&format!("{line} --force")] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn crl_publish_over_an_older_crl_leaves_a_whole_one() {
    let stale: Vec<_> = [&BEFORE[..], &["!cp empty.pem served/crl.pem", AHEAD]].concat();
    stands(&Act { before: &stale, line: "crl publish", mend: &["crl publish"] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_directory_of_the_lists_own_appears_whole_or_not_at_all() {
    let own = "!sed -i 's!^#crl-file.*!crl-file = \"crl/crl.pem\"!' pki/vpnpki.toml";
    let before: Vec<_> = [&BEFORE[..], &[own]].concat();
    for line in ["export server -o served --force", "export server -o third --force"] {
        stands(&Act { before: &before, line, mend: &[line] });
    }
}

/// Before a command that changes names: `client0` is refused, `client1` and `client2` are not.
fn by_names<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let settings = "!sed -i 's!^#crl-dir.*!crl-dir = \"names\"!' pki/vpnpki.toml";
    let served = [settings, "export server -o served --force", "!rm served/crl.pem"];
    let peers = ["issue client0 client2 --no-export", "revoke client0"];
    let ahead = "!touch -d '1 hour' client1.ovpn served/* served/names/*";
    [&[INIT], &served[..], &peers, more, &[ahead]].concat()
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn names_of_the_refused_come_and_go_one_by_one_and_nobody_is_let_in_between() {
    let line = "revoke client1 client2";
    stands(&Act { before: &by_names(&[]), line, mend: &[line] });
    let line = "resume client1 client2";
    stands(&Act { before: &by_names(&["suspend client1 client2"]), line, mend: &[line, "crl publish"] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_directory_of_names_that_drifted_is_put_right_from_wherever_it_was_left() {
    let gone = by_names(&["revoke client1", "!rm -r served/names && mkdir served/names && touch served/names/crl.pem"]);
    stands(&Act { before: &gone, line: "crl publish", mend: &["crl publish"] });
    let shut = by_names(&["revoke client1", "!chmod 0600 served/names/[0-9]*"]);
    stands(&Act { before: &shut, line: "crl publish", mend: &["crl publish"] });
    let carried = by_names(&[
        "suspend client1",
        "!cp -a served/names older",
        "resume client1",
        "revoke client2",
        "!cp served/names/crl.pem newer.pem; rm -r served/names; cp -a older served/names",
    ]);
    let line = "crl install served --ca served/ca.crt --crl newer.pem";
    stands(&Act { before: &carried, line, mend: &[line] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_directory_of_names_appears_with_a_servers_bundle() {
    for line in ["export server -o third --force", "export server -o served --force"] {
        stands(&Act { before: &by_names(&["revoke client1"]), line, mend: &[line] });
    }
    let missing = [&by_names(&[])[..], &["!rm -r served/names"]].concat();
    stands(&Act { before: &missing, line: "crl publish", mend: &["crl publish"] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn forget_is_all_or_nothing() {
    let keep = "!sed -i 's/^#keep.*/keep = \"always\"/' pki/vpnpki.toml";
    let left: Vec<_> =
        [&BEFORE[..1], &[keep, "issue client2 --note desk-4 --no-export"], &["revoke client1 client2"]].concat();
    let line = "forget client1 client2 --yes";
    stands(&Act { before: &left, line, mend: &[line] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn crl_install_over_an_older_crl_leaves_a_whole_one() {
    let carried: Vec<_> =
        [&BEFORE[..], &["!cp served/crl.pem newer.pem", "!cp empty.pem served/crl.pem", AHEAD]].concat();
    let line = "crl install served --ca served/ca.crt --crl newer.pem";
    stands(&Act { before: &carried, line, mend: &[line] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn unlocker_add_and_remove_leave_a_vault_that_opens() {
    let add = "unlocker add --new-passphrase-file phrase --label safe";
    let phrase: Vec<_> = [&BEFORE[..], &["!echo horse > phrase; chmod 600 phrase"]].concat();
    let key: Vec<_> = [&phrase[..], &["!age-keygen -o age.key; age-keygen -y age.key > age.pub"]].concat();
    let shell = format!("!{} unlocker add --label other --recipient $(cat age.pub)", env!("CARGO_BIN_EXE_vpnpki"));
    let two: Vec<_> = [&key[..], &[&shell]].concat();
    stands(&Act { before: &phrase, line: add, mend: &["unlocker list"] });
    stands(&Act { before: &two, line: "unlocker remove other", mend: &["unlocker list"] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn unlocker_rotate_is_all_or_nothing() {
    stands(&Act { before: &BEFORE, line: "unlocker rotate", mend: &["unlocker rotate"] });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn backup_writes_a_whole_file_or_none() {
    let mend = ["backup -o saved --force", "backup --verify saved --identity pki/vault.key"];
    stands(&Act { before: &BEFORE, line: "backup -o saved", mend: &mend });
    let older: Vec<_> = [&BEFORE[..], &["backup -o saved", AHEAD]].concat();
    stands(&Act { before: &older, line: "backup -o saved --force", mend: &mend });
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn restore_is_all_or_nothing() {
    let ours = env!("CARGO_MANIFEST_DIR");
    let templates = format!("!mkdir pki/templates && cp {ours}/templates/client.conf pki/templates");
    let lost =
        ["backup -o saved", "issue client3 --no-export", "revoke client2", "!mv pki/vault.key key; rm -r pki", AHEAD];
    let line = "restore saved --identity key";
    let mend = ["restore saved --identity key --if-missing", "crl publish"];
    let beside: Vec<_> = [&BEFORE[..], &[&templates], &lost].concat();
    stands(&Act { before: &beside, line, mend: &mend });
    let inside: Vec<_> = [&beside[..], &["!mkdir -m 0700 pki"]].concat();
    stands(&Act { before: &inside, line, mend: &mend });
}

/// Tries every fault at every call of the act, each on a fresh copy of the same directory.
fn stands(act: &Act) {
    let site = Site::new();
    // in memory, since a fault is put at a call and not at a disk, for which we would wait most of the time
    let _memory = Mount::new("-t tmpfs -o mode=0755 tmpfs", site.dir());
    let live = site.path("live");
    std::fs::create_dir(&live).unwrap();
    act.before.iter().for_each(|line| run(&live, line).unwrap());
    site.tool("cp -a live saved").succeeds();
    let old = Picture::of(&live).unwrap();
    let (outcome, calls) = trace(&live, act.line);
    outcome.succeeds();
    let new = Picture::of(&live).unwrap();

    let points: Vec<_> = calls.iter().flat_map(|call| Fault::ALL.map(|fault| (call, fault))).collect();
    let (mut failures, mut too_late) = (Vec::new(), 0);
    for &(call, fault) in &points {
        site.tool("rm -rf live").succeeds();
        site.tool("cp -a saved live").succeeds();
        let outcome = inject(&live, act.line, call, fault);
        too_late += usize::from(fault == Fault::Kill && outcome.status.success());
        let verdict = neither_between(&live, &old, &new, call, fault, &outcome).and_then(|()| mended(&live, &new, act));
        failures.extend(verdict.err().map(|why| format!("{fault} at {}\n{why}\n{outcome}", call.text)));
    }
    println!("{}: {} faults at {} calls, {too_late} kills too late", act.line, points.len(), calls.len());
    // signatures differ in length, so a database may take a page, which is six calls, more or less than in the traced run
    assert!(too_late <= (calls.len() / 20).max(6), "{too_late} of {} kills did not come", calls.len());
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), points.len(), shown(&failures));
}

/// After the fault: the old state or the new one, nothing lost, nothing strange, an end that was foreseen.
fn neither_between(
    dir: &Path,
    old: &Picture,
    new: &Picture,
    call: &Call,
    fault: Fault,
    outcome: &Outcome,
) -> Result<(), String> {
    let now = Picture::of(dir)?;
    ended_as_foreseen(call, fault, outcome)?;
    let told = outcome.stderr.contains(".vpnpki-new");
    if outcome.status.success() && !(now.names() == new.names() && (now.tree == new.tree || told)) {
        return Err("it said success, but not all is done".to_owned());
    }
    let excused =
        fault == Fault::Kill || told || ["unlink", "unlinkat", "rmdir", "renameat", "renameat2"].contains(&&*call.name);
    now.nothing_strange(old, new, excused)?;
    if now.names() != old.names() && now.names() != new.names() {
        return Err(format!("neither old nor new: {:?}", now.names()));
    }
    if now.served != old.served && now.served != now.revoked() && !now.on_the_way_from(old) {
        return Err(format!("the server reads {:?}", now.served));
    }
    Ok(())
}

/// A kill kills; an error is an error of the disk (1) or of a vault that could not be read (4), never a bug (70, 101),
/// and is told, unless the telling itself failed.
fn ended_as_foreseen(call: &Call, fault: Fault, outcome: &Outcome) -> Result<(), String> {
    let told = outcome.stderr.lines().any(|line| line.starts_with("error: ")) || call.text.starts_with("write(2");
    match outcome.status.code() {
        None if fault == Fault::Kill => Ok(()),
        Some(0) => Ok(()),
        Some(1 | 4) if fault != Fault::Kill && told => Ok(()),
        _ => Err("an end that was not foreseen".to_owned()),
    }
}

/// What the user types next leads to the new state, and takes away what the fault left.
fn mended(dir: &Path, new: &Picture, act: &Act) -> Result<(), String> {
    act.mend.iter().try_for_each(|line| run(dir, line))?;
    let now = Picture::of(dir)?;
    let whole = now.tree == new.tree && now.names() == new.names() && now.served == now.revoked();
    whole.then_some(()).ok_or_else(|| format!("not mended: {:?} {:?}, {:?}", now.tree, now.names(), now.served))
}

impl Picture {
    fn of(dir: &Path) -> Result<Self, String> {
        let names = named(&dir.join("served").join(NAMES))?;
        let by_name = names.is_some();
        let served = names.map_or_else(|| published(&dir.join("served/crl.pem")), |names| Ok(Some(names)))?;
        let tree = tree(dir);
        let state = dir.join("pki/pki.db").exists().then(|| State::sound(dir)).transpose()?;
        Ok(Self { tree, state, served, by_name })
    }

    /// Whether some names are there that come, or gone that go; whoever was refused and still is to be, is.
    fn on_the_way_from(&self, old: &Self) -> bool {
        let (old, wanted) = (old.served.clone().unwrap_or_default(), self.revoked().unwrap_or_default());
        let known =
            |names: &BTreeSet<Serial>| names.is_superset(&(&old & &wanted)) && names.is_subset(&(&old | &wanted));
        self.by_name && self.served.as_ref().is_some_and(known)
    }

    fn names(&self) -> Option<Vec<(String, String)>> {
        self.state.as_ref().map(State::names)
    }

    fn revoked(&self) -> Option<BTreeSet<Serial>> {
        self.state.as_ref().map(State::revoked)
    }

    /// Every file is one of before or after, with its mode; what a kill leaves under its documented name may be there too.
    fn nothing_strange(&self, old: &Self, new: &Self, excused: bool) -> Result<(), String> {
        let known = |path: &Path, mode| old.tree.get(path) == Some(mode) || new.tree.get(path) == Some(mode);
        // the list of names that are being added, until all of them are there
        let next = Path::new("served").join(NAMES).join("next.pem");
        let left = |path: &Path| path == next || excused && path.to_string_lossy().contains(".vpnpki-new");
        if let Some((path, mode)) = self.tree.iter().find(|(path, mode)| !known(path, mode) && !left(path)) {
            return Err(format!("stray: {} {mode:o}", path.display()));
        }
        // a name that goes is meant to
        let goes = |path: &Path| path.starts_with(Path::new("served").join(NAMES)) && !new.tree.contains_key(path);
        let lost = old.tree.keys().find(|path| !self.tree.contains_key(*path) && !goes(path));
        lost.map_or(Ok(()), |path| Err(format!("lost: {}", path.display())))
    }
}

/// Runs `vpnpki LINE`, or another program when the line begins with `!`.
fn run(dir: &Path, line: &str) -> Result<(), String> {
    let mut command = match line.strip_prefix('!') {
        Some(other) => {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", other]).current_dir(dir);
            shell
        }
        None => vpnpki(dir, line),
    };
    let outcome = Outcome::of(&mut command);
    outcome.status.success().then_some(()).ok_or_else(|| outcome.to_string())
}

fn shown(failures: &[String]) -> String {
    failures.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n\n")
}

/// The directory of names beside the server's configuration. Another name than that of a list's own directory.
const NAMES: &str = "names";
const INIT: &str = "init --remote 10.99.0.1 --no-passphrase --publish served --issue client1";
const MEND_INIT: [&str; 2] = ["export server --publish -o served --force", "export client1 --force"];
const BEFORE: [&str; 5] =
    [INIT, "!cp served/crl.pem empty.pem", "issue client0 client2 --no-export", "revoke client0", AHEAD];
/// So that a replaced file's time must be moved on, on every run.
const AHEAD: &str = "!touch -d '1 hour' client1.ovpn */crl.pem";
