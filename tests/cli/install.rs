//! `crl install`: a list that was carried to a host without the authority.
//! What each refusal rests on is tested beside the code; here is what a person and a script see.

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Stdio,
};

use crate::{
    common::Outcome,
    revocation::published,
    site::{Site, State},
};

/// Another host's directory `vpn2`, with the list of before `client1` was revoked; the newer one is in `crl.pem`.
fn carried() -> Site {
    let site = Site::made("--issue client1 client2");
    site.sh("cp -r server vpn2").succeeds();
    site.run("revoke client1 --no-publish").succeeds();
    site.run("crl publish -o crl.pem").succeeds();
    site
}

const INSTALL: &str = "crl install vpn2 --ca vpn2/ca.crt";

fn without_times(state: &State) -> Vec<&std::path::PathBuf> {
    state.keys().collect()
}

#[test]
fn a_newer_list_comes_in_through_a_pipe_without_any_authority() {
    let site = carried();
    site.sh("vpnpki crl publish -o - > newest && mv pki elsewhere").succeeds();
    let before = fs::metadata(site.path("vpn2/crl.pem")).expect("a list").mtime();
    site.sh(&format!("vpnpki {INSTALL} < newest")).succeeds().says("installed CRL 2 in vpn2/crl.pem in place of CRL 1");
    let (number, serials) = published(&site, "vpn2/crl.pem");
    assert_eq!((number, serials.len()), (2, 1));
    let after = fs::metadata(site.path("vpn2/crl.pem")).expect("a list");
    assert_eq!(after.mode() & 0o7777, 0o644);
    assert!(after.mtime() > before, "a server would not look again");
}

#[test]
fn the_same_list_changes_nothing_and_says_so() {
    let site = carried();
    site.run(&format!("{INSTALL} --crl crl.pem")).succeeds();
    site.refuses(&format!("{INSTALL} --crl crl.pem"), 0, "CRL 2 is in vpn2/crl.pem");
    assert_eq!(site.json(&format!("{INSTALL} --crl crl.pem"))["changed"], false);
}

#[test]
fn a_list_that_others_cannot_read_is_put_again() {
    let site = carried();
    site.run(&format!("{INSTALL} --crl crl.pem")).succeeds();
    fs::set_permissions(site.path("vpn2/crl.pem"), fs::Permissions::from_mode(0o600)).expect("our file");
    site.run(&format!("{INSTALL} --crl crl.pem")).succeeds();
    assert_eq!(fs::metadata(site.path("vpn2/crl.pem")).expect("a list").mode() & 0o7777, 0o644);
}

#[test]
fn a_dry_run_changes_nothing() {
    let site = carried();
    site.refuses(&format!("{INSTALL} --crl crl.pem --dry-run"), 0, "would install CRL 2 in vpn2/crl.pem");
}

#[test]
fn every_refusal_leaves_the_old_list() {
    let site = carried();
    fs::create_dir(site.path("other")).expect("a directory");
    site.run("--pki other/pki init --remote vpn.example.com --no-passphrase --out other").succeeds();
    site.sh("vpnpki crl publish -o - | head -c 200 > torn; cat crl.pem crl.pem > twice; : > empty").succeeds();
    site.sh("cp -r vpn2 blind && sed -i /crl-verify/d blind/server.conf; mkdir bare").succeeds();
    for (line, code, words) in [
        (format!("{INSTALL} --crl torn"), 1, "holds no revocation list"),
        (format!("{INSTALL} --crl empty"), 1, "holds no revocation list"),
        (format!("{INSTALL} --crl twice"), 1, "holds 2 revocation lists"),
        (format!("{INSTALL} --crl vpn2/ca.crt"), 1, "holds no revocation list"),
        (format!("{INSTALL} --crl nowhere"), 1, "`nowhere` does not exist"),
        (format!("{INSTALL} --crl other/server/crl.pem"), 1, "was signed by another CA"),
        (INSTALL.to_owned(), 1, "standard input is empty"),
        ("crl install vpn2 --ca other/server/ca.crt --crl crl.pem".to_owned(), 1, "was signed by another CA"),
        ("crl install vpn2 --ca vpn2/server.crt --crl crl.pem".to_owned(), 1, "holds no certificate of a CA"),
        ("crl install vpn2 --ca vpn2/server.key --crl crl.pem".to_owned(), 1, "holds no certificate"),
        ("crl install other/server --ca vpn2/ca.crt --crl crl.pem".to_owned(), 1, "does not hold this authority's"),
        ("crl install blind --ca vpn2/ca.crt --crl crl.pem".to_owned(), 1, "reads no CRL, so nobody is refused"),
        ("crl install bare --ca vpn2/ca.crt --crl crl.pem".to_owned(), 1, "holds no configuration of a server"),
        ("crl install none --ca vpn2/ca.crt --crl crl.pem".to_owned(), 1, "`none` does not exist"),
        ("crl install vpn2 --crl crl.pem".to_owned(), 2, "--ca <FILE>"),
    ] {
        site.refuses(&line, code, words);
    }
}

#[test]
fn a_list_never_goes_back() {
    let site = carried();
    site.sh("cp vpn2/crl.pem first.pem").succeeds();
    site.run(&format!("{INSTALL} --crl crl.pem")).succeeds();
    site.refuses(&format!("{INSTALL} --crl first.pem"), 1, "has CRL 2, and CRL 1 is older");
    // an authority that was put back gives a number twice
    site.sh("cp -a pki kept").succeeds();
    site.run("revoke client2 --no-publish").succeeds();
    site.run("crl publish -o third.pem").succeeds();
    site.sh("rm -r pki && mv kept pki").succeeds();
    site.run("crl refresh --no-publish").succeeds();
    site.run("crl publish -o other-third.pem").succeeds();
    site.run(&format!("{INSTALL} --crl third.pem")).succeeds();
    let outcome = site.refuses(&format!("{INSTALL} --crl other-third.pem"), 1, "has another CRL 3");
    assert!(outcome.stderr.contains("hint: an authority gives no number twice"), "{outcome}");
}

#[test]
fn a_server_whose_user_cannot_read_it_is_named_with_the_mend() {
    let site = carried();
    site.write("vpn2/server.conf", &(site.text("vpn2/server.conf") + "user nobody\ngroup nogroup\n"));
    fs::set_permissions(site.path("vpn2"), fs::Permissions::from_mode(0o700)).expect("our directory");
    site.run(&format!("{INSTALL} --crl crl.pem")).exits(1).says("`nobody` cannot enter").says("hint: `ch");
    assert_eq!(published(&site, "vpn2/crl.pem").0, 2, "it is written all the same");
}

#[test]
fn a_link_is_not_written_through() {
    let site = carried();
    site.sh("mv vpn2/crl.pem mine && ln -s ../mine vpn2/crl.pem").succeeds();
    site.refuses(&format!("{INSTALL} --crl crl.pem"), 1, "symbolic link");
}

#[test]
fn two_at_once_come_one_after_the_other_and_the_newest_stays() {
    let site = carried();
    site.run("revoke client2 --no-publish").succeeds();
    site.run("crl publish -o newer.pem").succeeds();
    let start = |list: &str| {
        let mut command = site.vpnpki(&format!("{INSTALL} --crl {list}"));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("vpnpki starts")
    };
    for _ in 0..8 {
        site.sh("cp server/crl.pem vpn2/crl.pem").succeeds();
        let mut running: Vec<_> = ["crl.pem", "newer.pem", "crl.pem", "newer.pem"].map(start).into();
        let codes: Vec<_> = running.iter_mut().map(|one| one.wait().expect("an end").code()).collect();
        assert!(codes[1] == Some(0) && codes[3] == Some(0), "{codes:?}");
        assert_eq!(published(&site, "vpn2/crl.pem").0, 3, "{codes:?}");
    }
    let before = site.state();
    let names = without_times(&before);
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("vpnpki-new")), "{names:?}");
}

#[test]
fn json_says_what_came_in_and_where() {
    let site = carried();
    let answer = site.json(&format!("{INSTALL} --crl crl.pem"));
    assert_eq!((&answer["command"], &answer["changed"]), (&"crl install".into(), &true.into()));
    assert_eq!((&answer["number"], &answer["entries"]), (&2.into(), &1.into()));
    assert_eq!((&answer["files"][0]["replaced"], &answer["files"][0]["state"]), (&1.into(), &"installed".into()));
    let outcome = site.run(&format!("{INSTALL} --crl vpn2/ca.crt --json")).exits(1);
    assert!(outcome.stdout.is_empty() && outcome.stderr.contains("\"command\":\"crl install\""), "{outcome}");
}

#[test]
fn more_than_any_list_has_is_not_read() {
    let site = carried();
    let mut command = site.vpnpki(INSTALL);
    let mut running =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("vpnpki starts");
    let mut input = running.stdin.take().expect("its input");
    let megabyte = vec![b'a'; 1 << 20];
    let written = (0..300).take_while(|_| input.write_all(&megabyte).is_ok()).count();
    drop(input);
    let output = running.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("more than 268435456 bytes"), "{written}");
    assert_eq!(published(&site, "vpn2/crl.pem").0, 1);
}

#[test]
fn a_list_in_a_directory_of_its_own_is_found_there() {
    let site = Site::empty();
    fs::create_dir(site.path("pki")).expect("a directory");
    fs::set_permissions(site.path("pki"), fs::Permissions::from_mode(0o700)).expect("our directory");
    site.write("pki/vpnpki.toml", "[client]\nremotes = [\"vpn.example.com\"]\n[server]\ncrl-file = \"crl/crl.pem\"\n");
    Outcome::of(&mut site.vpnpki("init --no-passphrase --publish server --issue client1")).succeeds();
    assert!(site.text("server/server.conf").contains("\ncrl-verify crl/crl.pem\n"));
    assert!(!site.path("server/crl.pem").exists());
    assert_eq!(fs::metadata(site.path("server/crl")).expect("a directory").mode() & 0o7777, 0o755);
    site.sh("cp -r server vpn2").succeeds();
    site.run("revoke client1").succeeds().says("server/crl/crl.pem");
    assert_eq!(published(&site, "server/crl/crl.pem").0, 2);
    site.sh(&format!("vpnpki crl publish -o - | vpnpki {INSTALL}")).succeeds().says("vpn2/crl/crl.pem");
    assert_eq!(published(&site, "vpn2/crl/crl.pem").0, 2);
    site.run("status").exits(0);
    // a directory of an older export keeps working, and the next export fills both
    site.run("export server --force").succeeds();
    site.run("export server --format zip").succeeds();
    assert_eq!(published(&site, "server/crl/crl.pem").0, 2);
}
