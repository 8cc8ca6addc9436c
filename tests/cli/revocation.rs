//! Ending access: who is told, who is not, and what to type then.
//! That a server refuses whom the list names is proven in `tests/peers`.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use vpnpki::pki::Crl;

use crate::{common::Outcome, site::Site};

/// The serials on a published list, and its number.
#[track_caller]
pub fn published(site: &Site, name: &str) -> (u64, BTreeSet<String>) {
    let crl = Crl::from_pem(&site.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let serials = crl.entries().iter().map(|entry| entry.serial.to_string()).collect();
    (crl.number().expect("a number"), serials)
}

fn serials(site: &Site, names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| site.serial(name)).collect()
}

#[test]
fn without_a_target_it_is_recorded_and_1_and_the_hints_work_when_typed() {
    let site = Site::made("--issue client1 client2");
    let outcome = site.run("revoke client1").exits(1).says("no server knows yet");
    assert_eq!(site.status("client1"), "revoked");
    let hint = outcome.stderr.lines().find(|line| line.starts_with("hint: ")).expect("a hint").to_owned();
    let commands: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
    assert_eq!(commands.len(), 2, "{hint}");
    site.sh("cp -r server running").succeeds();
    for (command, real, dir) in [(commands[0], "/etc/openvpn/server", "live"), (commands[1], "DIR", "running")] {
        assert!(command.starts_with("vpnpki ") && command.contains(real), "{command}");
        site.sh(&command.replace(real, dir)).succeeds();
        assert_eq!(published(&site, &format!("{dir}/crl.pem")).1, serials(&site, &["client1"]), "{command}");
    }
    site.run("revoke client2").succeeds();
    for dir in ["live", "running"] {
        assert_eq!(published(&site, &format!("{dir}/crl.pem")).1, serials(&site, &["client1", "client2"]), "{dir}");
    }
}

#[test]
fn the_hint_names_the_server_that_there_is() {
    let site = Site::made("--server-name server-west --issue client1");
    let outcome = site.run("revoke client1").exits(1);
    assert!(outcome.stderr.contains("`vpnpki export server-west --publish -o /etc/openvpn/server`"), "{outcome}");
}

#[test]
fn a_directory_named_at_init_is_told() {
    let site = Site::published("--issue client1 client2");
    assert!(published(&site, "server/crl.pem").1.is_empty());
    site.run("revoke client1").succeeds().says("published CRL 2 to");
    assert_eq!(published(&site, "server/crl.pem"), (2, serials(&site, &["client1"])));
}

#[test]
fn a_directory_added_later_is_told() {
    let site = Site::made("--issue client1 client2");
    site.sh("cp -r server copy").succeeds();
    let outcome = site.run("crl publish --add copy").succeeds().says("every later CRL goes to");
    assert!(outcome.stdout.contains("copy/crl.pem"), "{outcome}");
    site.run("revoke client1").succeeds();
    assert_eq!(published(&site, "copy/crl.pem").1, serials(&site, &["client1"]));
    // what `init` exported is a copy and was never named
    assert!(published(&site, "server/crl.pem").1.is_empty());
    site.refuses("crl publish --add copy", 0, "CRL 2 is in");
}

#[test]
fn a_directory_made_by_export_is_told() {
    let site = Site::made("--issue client1 --no-export");
    site.run("export server --publish -o live").succeeds().says("every later CRL goes to");
    site.run("revoke client1").succeeds();
    assert_eq!(published(&site, "live/crl.pem").1, serials(&site, &["client1"]));
}

#[test]
fn directories_in_the_settings_are_told() {
    for form in [
        "[[publish]]\ndir = \"../server\"\n[[publish]]\ndir = \"$DIR/copy\"\n",
        "[publish]\ndirs = [\"../server\", \"$DIR/copy\"]\n",
    ] {
        let site = Site::made("--issue client1");
        site.sh("cp -r server copy").succeeds();
        let settings = site.text("pki/vpnpki.toml") + &form.replace("$DIR", site.dir().to_str().expect("a plain path"));
        site.write("pki/vpnpki.toml", &settings);
        site.run("revoke client1").succeeds();
        for dir in ["server", "copy"] {
            assert_eq!(published(&site, &format!("{dir}/crl.pem")).1, serials(&site, &["client1"]), "{form}");
        }
        site.run("status").succeeds();
    }
}

#[test]
fn a_relative_directory_is_meant_from_where_it_was_typed() {
    let site = Site::empty();
    fs::create_dir(site.path("below")).expect("a directory");
    site.sh(
        "cd below && vpnpki --pki ../pki init --remote vpn.example.com --issue client1 --publish live --no-passphrase",
    )
    .succeeds();
    site.run("revoke client1").succeeds();
    assert_eq!(published(&site, "below/live/crl.pem").1, serials(&site, &["client1"]));
}

#[test]
fn twice_is_done_and_says_since_when() {
    let site = Site::published("--issue client1");
    site.run("revoke client1").succeeds();
    let before = site.state();
    let outcome = site.run("revoke client1").succeeds().says("is revoked since");
    site.expect_state(&before, &outcome);
    // and publishes again where it is missing
    fs::remove_file(site.path("server/crl.pem")).expect("a list");
    site.run("revoke client1").succeeds().says("published CRL 2 to");
    assert_eq!(published(&site, "server/crl.pem").1, serials(&site, &["client1"]));
}

#[test]
fn a_serial_ends_that_certificate_alone() {
    let site = Site::published("--issue client1 client2");
    let serial = site.serial("client1");
    for spelling in [serial.clone(), serial.to_lowercase(), format!("00{serial}")] {
        site.run(&format!("revoke serial:{spelling}")).succeeds().says(&serial);
    }
    assert_eq!((site.status("client1"), site.status("client2")), ("revoked".to_owned(), "valid".to_owned()));
    site.refuses("revoke serial:1234", 1, "there is no certificate serial:1234");
    site.refuses("revoke serial:0x12", 2, "no serial number");
}

#[test]
fn a_near_miss_is_a_hint_and_not_a_revocation() {
    let site = Site::published("--issue client1 client2");
    for name in ["client3", "clinet1", "Client1", "client", "client11"] {
        let outcome = site.refuses(&format!("revoke {name}"), 1, &format!("there is no `{name}`"));
        assert!(outcome.stderr.contains("hint: did you mean `client"), "{outcome}");
    }
    site.refuses("revoke somebody-else", 1, "`vpnpki list` shows every name");
    // one that does not exist among several: nobody
    site.refuses("revoke client1 client9 client2", 1, "there is no `client9`");
}

#[test]
fn several_at_once_are_one_list() {
    let site = Site::published("--issue client1 client2 client3");
    site.run("revoke client1 client2 client1").succeeds();
    assert_eq!(published(&site, "server/crl.pem"), (2, serials(&site, &["client1", "client2"])));
}

#[test]
fn the_target_of_another_authority_is_refused() {
    let site = Site::made("--issue client1");
    site.run("--pki other init --remote vpn.example.com --no-passphrase --out .. --no-export").exits(2);
    site.run("--pki other init --remote vpn.example.com --no-passphrase --publish theirs").succeeds();
    let theirs = site.read("theirs/crl.pem");
    site.refuses("crl publish --add theirs", 1, "does not hold this authority's certificate");
    // also when its certificate is exchanged later
    site.run("crl publish --add server").succeeds();
    site.sh("cp theirs/ca.crt theirs/crl.pem server/").succeeds();
    site.run("revoke client1").exits(1).says("does not hold this authority's certificate");
    assert_eq!(site.read("server/crl.pem"), theirs, "another authority's list was replaced");
}

#[test]
fn a_target_whose_server_reads_no_list_is_refused() {
    let site = Site::made("--issue client1");
    let config = site.text("server/server.conf");
    for (changed, why) in [
        (config.replace("crl-verify crl.pem\n", ""), "reads no CRL, so nobody is refused"),
        (config.replace("crl-verify crl.pem", "#crl-verify crl.pem"), "reads no CRL, so nobody is refused"),
        (config.replace("crl-verify crl.pem", "crl-verify ../crls dir"), "outside of this directory"),
        (config.replace("crl-verify crl.pem", "crl-verify /elsewhere/crl.pem"), "outside of this directory"),
        (config.replace("crl-verify crl.pem", "crl-verify ../crl.pem"), "outside of this directory"),
        (format!("{config}chroot /var/lib/openvpn\n"), "chroot"),
    ] {
        site.write("server/server.conf", &changed);
        site.refuses("crl publish --add server", 1, why);
    }
    fs::remove_file(site.path("server/server.conf")).expect("a file");
    site.refuses("crl publish --add server", 1, "no configuration of a server");
}

#[test]
fn a_published_list_is_readable_and_its_time_moves_on() {
    let site = Site::published("--issue client1 client2 client3");
    let metadata = || fs::metadata(site.path("server/crl.pem")).expect("a list");
    let mut last = metadata();
    for name in ["client1", "client2", "client3"] {
        fs::set_permissions(site.path("server/crl.pem"), fs::Permissions::from_mode(0o600)).expect("our file");
        site.run(&format!("revoke {name}")).succeeds();
        let next = metadata();
        assert_eq!(next.mode() & 0o7777, 0o644);
        assert!(next.mtime() > last.mtime(), "{} is not after {}", next.mtime(), last.mtime());
        last = next;
    }
    // readable again without a new list
    fs::set_permissions(site.path("server/crl.pem"), fs::Permissions::from_mode(0o600)).expect("our file");
    site.run("crl publish").succeeds();
    assert_eq!(metadata().mode() & 0o7777, 0o644);
}

#[test]
fn a_target_that_is_gone_is_1_and_reached_by_whoever_comes_next() {
    let site = Site::published("--issue client1 client2");
    site.sh("mv server away").succeeds();
    site.run("revoke client1").exits(1).says("was not reached").says("`vpnpki crl publish` tries again");
    site.run("revoke client1").exits(1).says("is revoked since");
    site.run("status").exits(3).says("does NOT have it");
    site.sh("mv away server").succeeds();
    site.run("issue client3").succeeds();
    assert_eq!(published(&site, "server/crl.pem").1, serials(&site, &["client1"]));
    site.run("status").exits(0);
}

#[test]
fn no_publish_and_manual_publishing_are_done_without_a_server() {
    let site = Site::published("--issue client1 client2");
    site.run("revoke client1 --no-publish").exits(0).says("not published, as asked");
    assert!(published(&site, "server/crl.pem").1.is_empty());
    site.run("crl publish").succeeds();
    assert_eq!(published(&site, "server/crl.pem").1, serials(&site, &["client1"]));
    site.write("pki/vpnpki.toml", &(site.text("pki/vpnpki.toml") + "[publish]\nmode = \"manual\"\n"));
    site.run("revoke client2").exits(0).says("`publish.mode` is manual");
    assert_eq!(published(&site, "server/crl.pem").1, serials(&site, &["client1"]));
}

#[test]
fn a_user_who_could_not_read_it_is_named_with_the_mend() {
    let site = Site::published("--issue client1 client2");
    site.write("server/server.conf", &(site.text("server/server.conf") + "user nobody\ngroup nogroup\n"));
    fs::set_permissions(site.path("server"), fs::Permissions::from_mode(0o700)).expect("our directory");
    let outcome = site.run("revoke client1").exits(1).says("`nobody` cannot enter");
    assert_eq!(published(&site, "server/crl.pem").1, serials(&site, &["client1"]), "it is written all the same");
    let mend = outcome.stderr.lines().find(|line| line.starts_with("hint: ")).expect("a hint").to_owned();
    let commands: Vec<&str> = mend.split('`').skip(1).step_by(2).collect();
    assert_eq!(commands.len(), 2, "{mend}");
    if rustix::process::geteuid().is_root() {
        for command in commands {
            site.sh(command).succeeds();
        }
        site.run("revoke client2").exits(0);
    }
}

#[test]
fn a_dry_run_tells_whom_and_ends_nobody() {
    let site = Site::published("--issue client1");
    site.refuses("revoke client1 --dry-run", 0, "would revoke client1");
    assert_eq!(site.status("client1"), "valid");
}

#[test]
fn a_name_that_was_issued_again_is_ended_whole() {
    let site = Site::published("--issue client1");
    let first = site.serial("client1");
    site.run("revoke client1").succeeds();
    site.run("issue client1 --force").succeeds().says("the name had serial:");
    let second = site.serial("client1");
    assert_ne!(first, second);
    assert_eq!(published(&site, "server/crl.pem").1, BTreeSet::from([first.clone()]));
    site.run("revoke client1").succeeds();
    assert_eq!(published(&site, "server/crl.pem").1, BTreeSet::from([first, second]));
}

#[test]
fn a_reason_is_on_the_list() {
    let site = Site::published("--issue client1 client2");
    site.run("revoke client1 --reason keyCompromise").succeeds();
    site.run("revoke client2").succeeds();
    let outcome = site.run("crl show").succeeds();
    for (name, reason) in [("client1", "keyCompromise"), ("client2", "unspecified")] {
        let serial = site.serial(name);
        let line = outcome.stdout.lines().find(|line| line.contains(&serial)).expect("a line");
        assert!(line.ends_with(reason), "{line}");
    }
    Outcome::of(&mut site.vpnpki("log verify")).succeeds();
}

/// Their octets are in another order than their numbers, and the store has them by octets.
#[test]
fn serials_of_any_length_are_on_every_list_until_the_end() {
    let site = Site::published("--issue client1 --issue client2");
    let mut all: BTreeSet<String> =
        ["7F", "0102", "80", "C0FFEE", "4041424344454647484950515253545556575859"].map(Into::into).into();
    let typed: Vec<String> = all.iter().map(|serial| format!("serial:{serial}")).collect();
    site.run(&format!("revoke {} --unknown", typed.join(" "))).succeeds();
    assert_eq!(published(&site, "server/crl.pem").1, all);
    for name in ["client1", "client2"] {
        site.run(&format!("revoke {name}")).succeeds();
        all.insert(site.serial(name));
        assert_eq!(published(&site, "server/crl.pem").1, all);
    }
    site.run("crl refresh").succeeds();
    assert_eq!(published(&site, "server/crl.pem").1, all);
    site.run("log verify").succeeds();
}
