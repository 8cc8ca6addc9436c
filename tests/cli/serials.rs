//! `crl-verify DIR dir`: the directory of serials, from the settings to what lies in it, and who removes what.
//! That a server refuses by it is proven in `tests/peers`.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, time::Duration};

use vpnpki::{
    inventory::{ActId, Certificate, Change, Event, Reason, Revocation},
    serial::Serial,
    store::{self, Access, Draft},
    validity::Validity,
    vault::{self, IdentityFile, Key},
    world::World,
};

use crate::{revocation::published, site::Site};

/// An authority whose servers read `crl`, with a target.
fn of_serials(options: &str) -> Site {
    let site = Site::empty();
    fs::create_dir(site.path("pki")).expect("a directory");
    fs::set_permissions(site.path("pki"), fs::Permissions::from_mode(0o700)).expect("our directory");
    site.write("pki/vpnpki.toml", "[client]\nremotes = [\"vpn.example.com\"]\n[server]\ncrl-dir = \"crl\"\n");
    site.run(&format!("init --no-passphrase --publish server {options}")).succeeds();
    site
}

/// The serials that are names in a directory.
#[track_caller]
fn named(site: &Site, dir: &str) -> BTreeSet<String> {
    let names = fs::read_dir(site.path(dir)).expect("a directory of serials");
    let names = names.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"));
    names.filter_map(|name| Serial::from_decimal(&name)).map(|serial| serial.to_string()).collect()
}

fn decimal(site: &Site, name: &str) -> String {
    site.serial(name).parse::<Serial>().expect("a serial").decimal()
}

#[track_caller]
fn refuses_exactly(site: &Site, dir: &str, names: &[&str]) {
    let serials: BTreeSet<String> = names.iter().map(|name| site.serial(name)).collect();
    assert_eq!(named(site, dir), serials);
    assert_eq!(published(site, &format!("{dir}/crl.pem")).1, serials, "the list beside them");
}

#[test]
fn init_revoke_suspend_and_resume_bring_the_names_along() {
    let site = of_serials("--issue client1 client2");
    assert!(site.text("server/server.conf").contains("\ncrl-verify crl dir\n"));
    assert!(!site.path("server/crl.pem").exists());
    refuses_exactly(&site, "server/crl", &[]);
    site.run("revoke client1").succeeds().says("published CRL 2 to").says("server/crl\n");
    refuses_exactly(&site, "server/crl", &["client1"]);
    let file = fs::metadata(site.path(&format!("server/crl/{}", decimal(&site, "client1")))).expect("a file");
    assert_eq!((file.len(), file.permissions().mode() & 0o7777), (0, 0o644));
    site.run("suspend client2").succeeds();
    refuses_exactly(&site, "server/crl", &["client1", "client2"]);
    site.run("resume client2").succeeds();
    refuses_exactly(&site, "server/crl", &["client1"]);
    site.run("status").succeeds();
    site.refuses("crl publish", 0, "CRL 4 is in");
    site.refuses("revoke client1", 0, "is revoked since");
}

#[test]
fn a_dry_run_changes_no_name_and_json_says_which_form_it_is() {
    let site = of_serials("--issue client1");
    site.refuses("revoke client1 --dry-run", 0, "would revoke client1");
    let answer = site.json("revoke client1");
    let target = &answer["published"]["targets"][0];
    assert_eq!((&target["form"], &target["state"]), (&"serials".into(), &"published".into()), "{answer}");
    assert!(target["file"].as_str().expect("a path").ends_with("server/crl") && target.get("others").is_none());
}

#[test]
fn what_drifted_is_told_and_put_right() {
    let site = of_serials("--issue client1 client2");
    site.run("revoke client1 client2").succeeds();
    let path = |name: &str| site.path(&format!("server/crl/{}", decimal(&site, name)));
    for (drift, what, whom) in [
        ("rm server/crl/*[0-9]", "lacks 2 serials that are refused", "client1"),
        ("rm -r server/crl", "does not exist, and its server refuses nobody", "client2"),
        ("chmod 0600 server/crl/*[0-9]", "lacks 2 serials that are refused", "client1"),
        ("rm server/crl/crl.pem", "it has an older CRL", ""),
    ] {
        site.sh(drift).succeeds();
        site.refuses("status", 3, what).says(whom);
        site.run("doctor").exits(3).says("crl publish").says(whom);
        site.run("crl publish").succeeds().says("published CRL 2 to");
        refuses_exactly(&site, "server/crl", &["client1", "client2"]);
        assert!([path("client1"), path("client2")]
            .iter()
            .all(|path| path.metadata().is_ok_and(|file| file.len() == 0)));
        site.run("status").succeeds();
    }
    site.sh(&format!("rm {0} && ln -s nowhere {0}", path("client1").display())).succeeds();
    site.refuses("crl publish", 1, "is a symbolic link");
}

#[test]
fn names_of_others_stay_and_are_told() {
    let site = of_serials("--issue client1 client2");
    // another authority's, no number at all, and one that somebody made by hand
    let by_hand = decimal(&site, "client2");
    site.sh(&format!("cd server/crl && touch 4711 README 007 {by_hand}")).succeeds();
    site.run("revoke client1").succeeds().says("2 serials in").says("stay refused there");
    assert!(["4711", "README", "007", by_hand.as_str()].iter().all(|name| site.path("server/crl").join(name).exists()));
    assert_eq!(site.status("client2"), "valid");
    let told =
        site.run("doctor").exits(3).says("refuses `client2`").says("1 serials in it are not on this authority's list");
    assert!(told.stdout.contains(&format!("server/crl/{by_hand}`")), "the mend: {told}");
    assert_eq!(site.json("crl publish")["targets"][0]["others"], 2);
    // the mend works
    site.sh(&format!("rm server/crl/{by_hand}")).succeeds();
    site.run("doctor").exits(0);
    site.run("suspend client2").succeeds();
    site.run("resume client2").succeeds();
    assert_eq!(named(&site, "server/crl"), BTreeSet::from([site.serial("client1"), "1267".to_owned()]));
}

#[test]
fn a_store_that_was_put_back_gives_nobody_access_again() {
    for (before, after) in
        [("suspend client1", "resume client1"), ("renew client2 --no-export --overlap 0", "suspend client2")]
    {
        let site = of_serials("--issue client1 client2");
        site.run(before).succeeds();
        site.run(after).succeeds();
        let yesterday = site.read("pki/pki.db");
        site.run("revoke client1 --reason keyCompromise").succeeds();
        site.run("issue lost --no-export").succeeds();
        let lost = site.serial("lost");
        site.run("revoke lost").succeeds();
        let there = named(&site, "server/crl");
        fs::write(site.path("pki/pki.db"), yesterday).expect("the store");
        site.refuses("status", 3, "the store was put back");
        site.run("crl publish").exits(1).says("the store was put back");
        assert_eq!(named(&site, "server/crl"), there);
        site.run("crl refresh").succeeds().says("2 revocations were taken over");
        assert_eq!(named(&site, "server/crl"), there, "{lost}");
        assert!(site.run("crl show").succeeds().stdout.contains("keyCompromise"));
        site.run("log verify").succeeds();
        site.run("status").succeeds();
    }
}

#[test]
fn without_its_list_a_directory_still_never_shrinks() {
    let site = of_serials("--issue client1 client2");
    let yesterday = site.read("pki/pki.db");
    site.run("revoke client1").succeeds();
    fs::write(site.path("pki/pki.db"), yesterday).expect("the store");
    fs::remove_file(site.path("server/crl/crl.pem")).expect("the list");
    site.run("revoke client2").succeeds().says("1 serials in");
    assert_eq!(named(&site, "server/crl"), [site.serial("client1"), site.serial("client2")].into());
    site.run("doctor").exits(3).says("refuses `client1`");
}

#[test]
fn both_forms_in_one_target_are_served_and_the_form_can_be_changed() {
    let site = Site::published("--issue client1 client2");
    site.set("#crl-dir", "crl-dir = \"crl\"");
    site.run("doctor").exits(3).says("1 bundle was made with other settings");
    site.sh("cp server/server.conf old.conf").succeeds();
    site.run("export server --force").succeeds();
    assert!(site.text("server/server.conf").contains("\ncrl-verify crl dir\n"));
    site.run("revoke client1").succeeds().says("published CRL 2 to");
    refuses_exactly(&site, "server/crl", &["client1"]);
    assert_eq!(published(&site, "server/crl.pem").0, 1, "nobody reads it any more");
    // a second server from the same directory still does
    site.sh("mv old.conf server/second.conf").succeeds();
    let answer = site.json("revoke client2");
    let forms: Vec<_> =
        answer["published"]["targets"].as_array().expect("targets").iter().map(|one| &one["form"]).collect();
    assert_eq!(forms, ["serials", "file"]);
    refuses_exactly(&site, "server/crl", &["client1", "client2"]);
    assert_eq!(published(&site, "server/crl.pem").0, 3);
    site.run("status").succeeds();
}

#[test]
fn export_of_a_server_holds_the_names_of_now_in_each_format() {
    let site = of_serials("--issue client1 client2");
    site.run("revoke client1 client2").succeeds();
    site.run("export server -o copy").succeeds();
    refuses_exactly(&site, "copy/crl", &["client1", "client2"]);
    site.run("export server --format zip -o server.zip").succeeds();
    site.sh("python3 -m zipfile -e server.zip unpacked").succeeds();
    refuses_exactly(&site, "unpacked/crl", &["client1", "client2"]);
    // over a directory that is there: names are added, none is taken
    site.sh("touch copy/crl/4711 && rm copy/crl/crl.pem").succeeds();
    site.run("resume client1").exits(1);
    site.run("export server -o copy --force").succeeds();
    assert!(site.path("copy/crl/4711").exists() && site.path("copy/crl/crl.pem").exists());
    // as a target from now on, nothing is left to do but what export wrote
    site.run("crl publish --add unpacked").succeeds().says("CRL 2 is in");
    site.run("renew server -o renewed").succeeds();
    refuses_exactly(&site, "renewed/crl", &["client1", "client2"]);
}

#[test]
fn a_list_is_installed_as_names_on_a_host_without_the_authority() {
    let site = of_serials("--issue client1 client2 client3");
    site.sh("cp -r server vpn2").succeeds();
    site.run("suspend client1").succeeds();
    site.run("revoke client2").succeeds();
    site.run("crl publish -o third.pem").succeeds();
    let install = |list: &str| format!("crl install vpn2 --ca vpn2/ca.crt --crl {list}");
    site.refuses(&(install("third.pem") + " --dry-run"), 0, "would install CRL 3 in vpn2/crl in place of CRL 1");
    site.run(&install("third.pem")).succeeds().says("installed CRL 3 in vpn2/crl in place of CRL 1");
    refuses_exactly(&site, "vpn2/crl", &["client1", "client2"]);
    site.refuses(&install("third.pem"), 0, "CRL 3 is in vpn2/crl");
    // only who stood on the list before is removed
    site.sh("touch vpn2/crl/4711").succeeds();
    site.run("resume client1").succeeds();
    site.run("crl publish -o fourth.pem").succeeds();
    site.run(&install("fourth.pem")).succeeds();
    assert_eq!(named(&site, "vpn2/crl"), BTreeSet::from([site.serial("client2"), "1267".to_owned()]));
    // an older list, which would add nobody and remove somebody, is refused
    site.run("revoke client3").succeeds();
    site.run("crl publish -o fifth.pem").succeeds();
    site.run(&install("fifth.pem")).succeeds();
    site.refuses(&install("third.pem"), 1, "has CRL 5, and CRL 3 is older");
    // a name that went missing comes back with the same list
    site.sh(&format!("rm vpn2/crl/{}", decimal(&site, "client3"))).succeeds();
    site.run(&install("fifth.pem")).succeeds().says("installed CRL 5 in vpn2/crl");
    assert!(named(&site, "vpn2/crl").contains(&site.serial("client3")));
    let answer = site.json(&install("fifth.pem"));
    assert_eq!((&answer["changed"], &answer["files"][0]["form"]), (&false.into(), &"serials".into()));
}

#[test]
fn a_directory_for_somebody_else_to_carry_is_written_and_kept() {
    let site = Site::published("--issue client1 client2");
    site.run("revoke client1").succeeds();
    site.run("crl publish -o list --serials").succeeds().says("published CRL 2 to list");
    refuses_exactly(&site, "list", &["client1"]);
    site.refuses("crl publish -o list --serials", 0, "CRL 2 is in list");
    site.run("suspend client2").succeeds();
    site.run("crl publish -o list --serials").succeeds();
    site.run("resume client2").succeeds();
    site.run("crl publish -o list --serials").succeeds();
    refuses_exactly(&site, "list", &["client1"]);
    site.refuses("crl publish -o - --serials", 2, "does not fit into standard output");
    site.refuses("crl publish --serials", 2, "--out <FILE>");
    site.refuses("crl publish -o pki/vpnpki.toml --serials", 1, "no directory");
}

#[test]
fn a_directory_that_the_servers_user_cannot_enter_is_named_with_the_mend_and_who_is_let_in() {
    let site = of_serials("--issue client1");
    site.write("server/server.conf", &(site.text("server/server.conf") + "user nobody\ngroup nogroup\n"));
    fs::set_permissions(site.path("server/crl"), fs::Permissions::from_mode(0o700)).expect("our directory");
    site.run("revoke client1").exits(1).says("`nobody` cannot enter").says("hint: `ch");
    refuses_exactly(&site, "server/crl", &["client1"]);
    site.run("status").exits(3).says("until then it lets in client1 (revoked");
    fs::set_permissions(site.path("server/crl"), fs::Permissions::from_mode(0o711)).expect("our directory");
    site.run("status").succeeds();
}

#[test]
fn verify_holds_a_bundle_against_the_names() {
    let site = of_serials("--issue client1 client2");
    site.run("verify client1.ovpn --server server").succeeds();
    site.run("revoke client1").succeeds();
    let number = decimal(&site, "client1");
    site.run("verify client1.ovpn --server server").exits(1).says(&format!("`{number}` is among its serials"));
    site.run("verify client1.ovpn").exits(1).says("the certificate is revoked since");
    site.run("verify client2.ovpn --server server").succeeds();
    site.run("verify client2.ovpn").succeeds();
    site.sh("rm -r server/crl").succeeds();
    site.run("verify client2.ovpn --server server").succeeds().says("`crl`, where nothing is: nobody is refused");
}

#[test]
fn a_template_of_ones_own_says_what_the_settings_say() {
    let site = Site::made("--issue client1");
    site.set("#crl-dir", "crl-dir = \"crl\"");
    fs::create_dir(site.path("pki/templates")).expect("a directory");
    let template = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/server.conf")).expect("ours");
    site.write("pki/templates/server.conf", &template.replace("{{ crl_file }}", "crl.pem"));
    site.refuses("export server --force", 1, "`crl-verify crl dir` is missing");
    site.write("pki/templates/server.conf", &template);
    site.run("export server --force").succeeds();
    assert!(site.text("server/server.conf").contains("\ncrl-verify crl dir\n"));
    site.set("crl-dir", "crl-dir = \"a/b\"");
    site.refuses("export server --force", 1, "crl-dir: must be one plain name");
    // whoever is to be revoked is, whatever the settings say
    site.run("crl publish --add server").succeeds();
    site.run("revoke client1").succeeds().says("warning");
    refuses_exactly(&site, "server/crl", &["client1"]);
}

/// What a kill leaves in the midst of adding: a name, and the list that it comes from.
fn half_added(site: &Site) {
    site.run("suspend client1 --no-publish").succeeds();
    site.run("crl publish -o server/crl/next.pem").succeeds();
    site.sh(&format!("touch server/crl/{}", decimal(site, "client1"))).succeeds();
}

#[test]
fn what_a_kill_left_half_added_can_be_taken_away_again() {
    let site = of_serials("--issue client1 client2");
    half_added(&site);
    site.run("resume client1").succeeds();
    refuses_exactly(&site, "server/crl", &[]);
    assert!(!site.path("server/crl/next.pem").exists());
    // and where it is still wanted, it stays
    half_added(&site);
    site.run("crl publish").succeeds();
    refuses_exactly(&site, "server/crl", &["client1"]);
    assert!(!site.path("server/crl/next.pem").exists());
    // a leftover of what was done to its end goes, too
    site.sh("cp server/crl/crl.pem server/crl/next.pem").succeeds();
    site.run("status").succeeds();
    site.run("crl publish").succeeds();
    assert!(!site.path("server/crl/next.pem").exists());
}

#[test]
fn what_a_kill_left_half_added_tells_that_the_store_was_put_back() {
    let site = of_serials("--issue client1 client2");
    let yesterday = site.read("pki/pki.db");
    half_added(&site);
    fs::write(site.path("pki/pki.db"), yesterday).expect("the store");
    site.refuses("crl publish", 1, "the store was put back");
    site.run("revoke client2").succeeds().says("1 revocations were taken over");
    refuses_exactly(&site, "server/crl", &["client1", "client2"]);
}

#[test]
fn an_installation_that_was_killed_is_ended_by_the_next() {
    let site = of_serials("--issue client1 client2");
    site.sh("cp -r server vpn2").succeeds();
    site.run("suspend client1").succeeds();
    site.sh("cp server/crl/crl.pem vpn2/crl/next.pem").succeeds();
    site.sh(&format!("touch vpn2/crl/{}", decimal(&site, "client1"))).succeeds();
    site.run("resume client1").succeeds();
    site.run("revoke client2").succeeds();
    site.refuses("crl install vpn2 --ca vpn2/ca.crt --crl pki/../server/ca.crt", 1, "no revocation list");
    site.run("crl install vpn2 --ca vpn2/ca.crt --crl server/crl/crl.pem").succeeds();
    refuses_exactly(&site, "vpn2/crl", &["client2"]);
    assert!(!site.path("vpn2/crl/next.pem").exists());
}

#[test]
fn a_list_of_more_than_20000_serials_is_told_and_how_servers_need_not_read_it() {
    let site = Site::published("--issue client1 client2");
    revoke_many(&site, 20_000);
    let told = "carries nobody's traffic while it loads it after each change: 1.6 s";
    let quiet = site.run("crl refresh").succeeds().says("with 20000 serials");
    assert!(!quiet.stderr.contains(told) && !site.run("status").succeeds().stdout.contains("note"), "{quiet}");
    let outcome = site.run("revoke client1").succeeds();
    assert!(outcome.stderr.contains("warning: the CRL has 20001 serials"), "{outcome}");
    assert!(outcome.stderr.contains(told) && outcome.stderr.contains("`crl-dir = \"crl\"`"), "{outcome}");
    site.run("crl refresh").succeeds().says(told);
    // worth knowing, and nothing that is due
    site.run("status").succeeds().says("note     the CRL has 20001 serials");
    assert!(site.json("status")["notes"][0].as_str().expect("a note").contains(told));
    site.run("doctor --deep").exits(0).says("note       the CRL: has 20001 serials");
    // what it says to do ends it
    site.set("#crl-dir", "crl-dir = \"crl\"");
    site.run("export server --force").succeeds();
    assert_eq!(named(&site, "server/crl").len(), 20_001);
    let outcome = site.run("revoke client2").succeeds().says("published CRL 5 to");
    assert!(!outcome.stderr.contains(told), "{outcome}");
    assert!(named(&site, "server/crl").contains(&site.serial("client2")));
    assert!(!site.run("status").succeeds().stdout.contains("note"));
}

/// Records so many revoked certificates, of nobody, with their entries in the ledger.
fn revoke_many(site: &Site, count: u32) {
    let identity = IdentityFile::parse(&site.read("pki/vault.key")).expect("the vault's identity");
    let store = store::open(&site.path("pki"), Access::Write).expect("the store");
    let unlockers = store.snapshot().and_then(|view| view.unlockers()).expect("unlockers");
    let vault =
        vault::open_any(unlockers.iter().map(|one| &*one.wrapped), &Key::Identities(&identity)).expect("a vault");
    let now = World::real().now();
    for from in (0..count).step_by(1000) {
        let mut writing = store.begin(Duration::from_secs(30)).expect("the writer");
        let mut events = Vec::new();
        for index in from..count.min(from + 1000) {
            let mut octets = [0x5e; 16];
            octets[1..5].copy_from_slice(&index.wrapping_mul(2_654_435_761).to_be_bytes());
            let revocation = Some(Revocation { at: now, reason: Reason::Superseded });
            let (serial, validity) = (Serial::fresh(octets), Validity::of_days(now, 825, 0));
            let certificate =
                Certificate { serial, issuer: 1, holder: None, validity, issued: now, revocation, overlap_ends: None };
            events.extend(Event::revoked(&certificate));
            writing.record(&Change::Certificate(certificate)).expect("a fact");
        }
        let mut act = [0xac; 16];
        act[1..5].copy_from_slice(&from.to_be_bytes());
        let mac = |hash: &[u8]| vault.mac(hash);
        let (by, operation) = ("tests".to_owned(), "revoke");
        writing
            .commit(Draft { act: ActId(act), at: now, by, operation, events, suspect: false, mac: Some(&mac) })
            .expect("an act");
    }
}
