//! `forget`: what is dropped, what stays for ever, and whom it is refused for.
//! That an expired peer can be forgotten is in `tests/peers/life.rs`, where the days go by.

use crate::{
    common::Outcome,
    database::Database,
    keyholders::{self, contains, OTHER_IDENTITY},
    site::Site,
};

/// `client1` is revoked; his key and note are kept. `client2` is accepted.
fn with_a_leaver() -> Site {
    let site = Site::published("");
    site.set("#keep", "keep = \"always\"");
    site.run("issue client1 client2 --note desk-4").succeeds();
    site.run("revoke client1").succeeds();
    assert_eq!(site.json("show client1")["certificates"][0]["key_kept"], true);
    site
}

/// The bytes under which a name's current key lies sealed in the store.
fn sealed(site: &Site, name: &str) -> Vec<u8> {
    let sql = "SELECT sealed FROM sealed_key JOIN peer ON current = certificate WHERE name = ?1";
    Database::of(site).blob(sql, [name])
}

#[test]
fn the_key_and_the_note_go_and_the_serial_stays() {
    let site = with_a_leaver();
    let serial = site.serial("client1");
    site.run("forget client1 --yes").succeeds().says("dropped 1 private key and the note of client1");
    let shown = site.json("show client1");
    assert_eq!(
        (&shown["peer"]["note"], &shown["certificates"][0]["key_kept"]),
        (&serde_json::Value::Null, &false.into())
    );
    assert_eq!((site.serial("client1"), site.status("client1")), (serial.clone(), "revoked".to_owned()));
    assert!(shown["certificates"][0]["pem"].is_string(), "the certificate stays");
    site.run("crl show").says(&serial);
    site.run("crl refresh").succeeds();
    site.run("crl show").says(&serial);
    site.run("log").says("dropped what was kept of client1");
    site.run("log verify").succeeds();
    // nobody else lost anything
    assert_eq!(site.json("show client2")["peer"]["note"], "desk-4");
    site.run("export client2 --force").succeeds();
}

#[test]
fn the_sealed_key_is_not_left_in_the_file() {
    let site = with_a_leaver();
    let [gone, kept] = ["client1", "client2"].map(|name| sealed(&site, name));
    let body = |sealed: &[u8]| sealed[sealed.len() - 200..].to_vec();
    assert!(contains(&site.read("pki/pki.db"), &body(&gone)[..40]));
    site.run("forget client1 --yes").succeeds();
    for name in ["pki/pki.db", "pki/pki.db-wal"].into_iter().filter(|name| site.path(name).exists()) {
        // a blob lies in several pages perhaps, so in pieces
        for piece in body(&gone).chunks(40) {
            assert!(!contains(&site.read(name), piece), "{name} still holds the key");
        }
    }
    assert!(contains(&site.read("pki/pki.db"), &body(&kept)[..40]));
}

#[test]
fn whoever_is_accepted_or_suspended_is_not_forgotten_and_neither_is_anybody_beside() {
    let site = with_a_leaver();
    for line in ["forget client2 --yes", "forget client1 client2 --yes", "forget client2 --dry-run"] {
        let outcome = site.refuses(line, 1, "is valid, and nothing was dropped");
        assert!(outcome.stderr.contains("hint: `vpnpki revoke client2`"), "{outcome}");
    }
    site.run("suspend client2").succeeds();
    site.refuses("forget client2 --yes", 1, "is suspended, and nothing was dropped");
    site.run("resume client2").succeeds();
    let old = site.serial("client2");
    site.run("renew client2 --no-export").succeeds();
    site.run(&format!("revoke serial:{}", site.serial("client2"))).succeeds();
    site.refuses("forget client2 --yes", 1, &format!("serial:{old} is superseded"));
    site.refuses("forget server --yes", 1, "is valid, and nothing was dropped");
}

#[test]
fn every_certificate_of_a_peer_loses_its_key() {
    let site = with_a_leaver();
    site.run("renew client2 --no-export").succeeds();
    site.run("revoke client2").succeeds();
    site.run("forget client1 client2 --yes").succeeds().says("dropped 2 private keys and the note of client2");
    let log = site.json("log -n 1");
    assert_eq!(log["entries"][0]["events"].as_array().map(Vec::len), Some(2), "{log}");
    site.run("log verify").succeeds();
}

#[test]
fn nobody_is_asked_without_a_terminal_and_the_flag_is_named() {
    let site = with_a_leaver();
    for line in ["forget client1", "forget client1 --batch"] {
        let outcome = site.refuses(line, 1, "nobody could be asked");
        assert!(outcome.stderr.contains("hint: `vpnpki forget client1 --yes`"), "{outcome}");
    }
    site.refuses("forget client1 --dry-run", 0, "would drop 1 private key and the note of client1");
}

#[test]
fn a_second_time_there_is_nothing_to_drop_and_no_key_is_asked_for() {
    let site = with_a_leaver();
    site.run("forget client1 --yes").succeeds();
    site.sh("mv pki/vault.key elsewhere").succeeds();
    site.refuses("forget client1", 0, "nothing is kept of client1");
    assert_eq!(site.json("forget client1 --yes")["changed"], false);
}

#[test]
fn without_the_vault_nothing_is_dropped() {
    let site = keyholders::locked();
    site.write("wrong", OTHER_IDENTITY);
    site.set("#keep", "keep = \"always\"");
    site.run("revoke client1 --identity key").succeeds();
    site.refuses("forget client1 --yes --identity wrong", 4, "");
    site.refuses("forget client1 --yes --batch", 4, "");
    site.run("forget client1 --yes --identity key").succeeds();
}

#[test]
fn a_store_that_was_changed_forgets_nobody() {
    let site = with_a_leaver();
    let serial: vpnpki::serial::Serial = site.serial("client2").parse().expect("a serial");
    // client2 is made to look revoked
    let sql = "UPDATE certificate SET revoked = issued, reason = 0 WHERE serial = ?1";
    Database::of(&site).change(sql, [serial.octets()]);
    let before = sealed(&site, "client2");
    site.run("forget client2 --yes").exits(1).says("the store is not what was written");
    assert_eq!(sealed(&site, "client2"), before);
}

#[test]
fn the_name_can_be_issued_again() {
    let site = with_a_leaver();
    site.run("forget client1 --yes").succeeds();
    site.run("issue client1 --force").succeeds().says("the name had serial:");
    assert_eq!(site.status("client1"), "valid");
    Outcome::of(&mut site.vpnpki("log verify")).succeeds();
}

#[test]
fn who_is_not_there_or_named_twice_stops_it() {
    let site = with_a_leaver();
    site.refuses("forget client1 client9 --yes", 1, "there is no `client9`");
    site.refuses("forget client1 client1 --yes", 2, "`client1` is named twice");
    site.refuses("forget --yes", 2, "<NAME>");
}
