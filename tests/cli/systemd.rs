//! `generate systemd`: the units as files. That systemd takes them is proven in `tests/peers`.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::site::Site;

#[test]
fn the_units_name_this_authority_its_targets_and_this_program() {
    let site = Site::published("--issue client1");
    site.sh("cp -r server west").succeeds();
    site.run("crl publish --add west").succeeds();
    fs::create_dir(site.path("units")).expect("a directory");
    let outcome = site.run("generate systemd -o units").succeeds();
    let service = site.text("units/vpnpki-crl.service");
    let dir = fs::canonicalize(site.dir()).expect("a directory").display().to_string();
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_vpnpki")).expect("a program").display().to_string();
    assert!(service.contains(&format!("\nExecStart={program} --pki {dir}/pki --batch crl publish\n")), "{service}");
    assert!(service.contains(&format!("\nReadWritePaths={dir}/pki -{dir}/server -{dir}/west\n")), "{service}");
    for name in ["vpnpki-crl.service", "vpnpki-crl.timer"] {
        let mode = fs::metadata(site.path(&format!("units/{name}"))).expect("a unit").permissions().mode();
        assert_eq!(mode & 0o7777, 0o644, "{name}");
    }
    assert!(outcome.stdout.contains(&format!("systemctl enable --now {dir}/units/vpnpki-crl.timer")), "{outcome}");
    // made again over itself
    site.run("generate systemd -o units").succeeds();
}

#[test]
fn both_go_to_standard_output_and_into_json() {
    let site = Site::published("");
    let outcome = site.refuses("generate systemd", 0, "# /etc/systemd/system/vpnpki-crl.timer");
    assert_eq!(outcome.stdout.matches("\n[Unit]\n").count(), 2, "{outcome}");
    let answer = site.json("generate systemd");
    assert_eq!((&answer["changed"], answer["units"].as_array().map(Vec::len)), (&false.into(), Some(2)));
    assert_eq!(answer["units"][1]["name"], "vpnpki-crl.timer");
}

#[test]
fn a_list_in_a_directory_of_its_own_is_the_only_thing_it_may_write_there() {
    let site = Site::published("");
    site.set("#crl-file", "crl-file = \"crl/crl.pem\"");
    site.run("export server --force").succeeds();
    let outcome = site.run("generate systemd").succeeds();
    assert!(outcome.stdout.contains("/server/crl\n"), "{outcome}");
}

#[test]
fn where_a_program_runs_after_publishing_it_may_use_the_network() {
    let site = Site::published("");
    assert!(site.run("generate systemd").succeeds().stdout.contains("\nPrivateNetwork=yes\n"));
    site.write("pki/vpnpki.toml", &(site.text("pki/vpnpki.toml") + "[publish]\nafter = [\"/bin/true\"]\n"));
    let outcome = site.run("generate systemd").succeeds();
    assert!(!outcome.stdout.contains("PrivateNetwork") && outcome.stdout.contains("AF_INET"), "{outcome}");
}

#[test]
fn without_an_authority_or_a_directory_nothing_is_made() {
    let site = Site::published("");
    site.refuses("--pki nowhere generate systemd", 1, "there is no authority in `nowhere`");
    site.refuses("generate systemd -o nowhere", 1, "`nowhere` does not exist");
    fs::create_dir(site.path("units")).expect("a directory");
    fs::create_dir(site.path("units/vpnpki-crl.timer")).expect("a directory");
    site.refuses("generate systemd -o units", 1, "is no regular file");
}
