//! Changes to `pki.db` from outside: found by `log verify`, refused by `issue` and `export`, survived by `revoke`.
//! What cannot be found is said: without the vault, and a whole store put back without a witness (`rollback.rs`).

use std::fs;

use age::x25519;
use vpnpki::{
    inventory::Change,
    pki::{self_sign, Algorithm, CaProfile, PrivateKey},
    secret::Secret,
    serial::Serial,
    store::{self, Access},
    time::Time,
    validity::Validity,
    vault::{open_any, Binding, IdentityFile, Key, VaultKeys},
};

use crate::{
    database::{Database, Macs},
    keyholders,
    revocation::published,
    site::Site,
};

/// `client1` is revoked, `client2` and `client3` are not; the vault opens with `key`, CRLs go to `server`.
fn site() -> Site {
    let site = keyholders::locked();
    site.run("issue client2 client3 --identity key").succeeds();
    site.run("revoke client1 --identity key").succeeds();
    site.run("log verify --identity key").succeeds();
    site
}

/// The same with so many others that an act no longer verifies everything, but the newest entry and what it relies on.
fn crowded() -> Site {
    let site = site();
    let others: Vec<String> = (0..40).map(|number| format!("other{number}")).collect();
    site.run(&format!("issue {} --no-export --identity key", others.join(" "))).succeeds();
    site
}

/// Found with the vault; nobody gets a certificate or bundle, and nothing is written by trying.
#[track_caller]
fn found(site: &Site, problem: &str) {
    site.refuses("log verify --identity key", 1, problem);
    refused(site);
}

#[track_caller]
fn refused(site: &Site) {
    for line in ["issue client9", "issue server9 --role server", "export server --force", "export --all --force"] {
        site.refuses(&format!("{line} --identity key"), 1, "the store is not what was written");
    }
}

/// `revoke` of another one is recorded and published, with everyone on the list who ever was; trust does not come back.
#[track_caller]
fn revocation_works(site: &Site, once: &str) {
    let client2 = site.serial("client2");
    site.run("revoke client2 --identity key").exits(0).says("the store is not what was written");
    let (_, serials) = published(site, "server/crl.pem");
    assert!(serials.contains(once) && serials.contains(&client2), "{serials:?}");
    site.run("revoke client3 --identity key").exits(0);
    assert_eq!(published(site, "server/crl.pem").1.len(), 3);
    site.run("crl refresh --identity key").exits(0);
    assert_eq!(published(site, "server/crl.pem").1.len(), 3);
    site.run("log verify --identity key").exits(1);
    site.run("status").exits(3).says("the store is not what was written");
    for line in ["issue client9", "export server --force"] {
        site.run(&format!("{line} --identity key")).exits(1).says("the store is not what was written");
    }
}

#[test]
fn a_row_that_was_un_revoked_is_found() {
    let site = site();
    let serial = site.serial("client1");
    Database::of(&site).change("UPDATE certificate SET revoked = NULL, reason = NULL WHERE revoked IS NOT NULL", []);
    assert_eq!(site.status("client1"), "valid");
    found(&site, &format!("`certificate/{serial}` is not what the ledger says it is"));
    site.run("log verify").exits(1).says("is not what the ledger says it is");
    revocation_works(&site, &serial);
}

/// Also the column that says which entry changed it last is nothing to be believed.
#[test]
fn a_row_that_was_un_revoked_with_the_entry_it_names_is_found() {
    for entry in ["1", "2", "(SELECT max(seq) - 1 FROM ledger)", "(SELECT max(seq) FROM ledger)", "99"] {
        let site = site();
        let serial = site.serial("client1");
        let sql = "UPDATE certificate SET revoked = NULL, reason = NULL, entry = ENTRY WHERE revoked IS NOT NULL";
        Database::of(&site).change(&sql.replace("ENTRY", entry), []);
        found(&site, &format!("`certificate/{serial}` is not what the ledger says it is"));
    }
}

#[test]
fn what_list_and_status_read_and_was_changed_is_found_and_keeps_nobody_from_anything() {
    for sql in [
        "UPDATE listing SET revoked = NULL, reason = NULL WHERE revoked IS NOT NULL",
        "UPDATE tally SET many = many + 1",
        "DELETE FROM tally",
    ] {
        let site = site();
        Database::of(&site).change(sql, []);
        site.refuses("log verify --identity key", 1, "is not what the certificates say");
        site.run("revoke client2 --identity key").exits(0);
        site.run("issue client9 --identity key").exits(0);
    }
}

#[test]
fn a_row_that_was_un_revoked_with_its_chain_recomputed_is_found() {
    let site = site();
    let serial = site.serial("client1");
    Database::of(&site).take_back_revocation(&serial, Macs::Kept);
    found(&site, "was not written with this vault: its MAC does not match");
    // hashes alone agree with each other, and that is all that is said
    site.run("log verify").exits(0).says("chain only: without the vault nobody can tell");
    revocation_works(&site, &serial);
}

#[test]
fn a_row_that_was_un_revoked_with_its_chain_recomputed_and_no_macs_is_found() {
    let site = site();
    let serial = site.serial("client1");
    Database::of(&site).take_back_revocation(&serial, Macs::Dropped);
    found(&site, "without a MAC");
    site.run("log verify").exits(0).says("chain only");
    revocation_works(&site, &serial);
}

#[test]
fn among_many_an_un_revoked_row_is_found_by_every_act() {
    let site = crowded();
    let serial = site.serial("client1");
    Database::of(&site).change("UPDATE certificate SET revoked = NULL, reason = NULL WHERE revoked IS NOT NULL", []);
    found(&site, &format!("`certificate/{serial}` is not what the ledger says it is"));
    revocation_works(&site, &serial);
}

#[test]
fn among_many_a_chain_recomputed_is_found_by_every_act() {
    for macs in [Macs::Kept, Macs::Dropped] {
        let site = crowded();
        let serial = site.serial("client1");
        Database::of(&site).take_back_revocation(&serial, macs);
        found(&site, "MAC");
        revocation_works(&site, &serial);
    }
}

#[test]
fn among_many_a_cut_tail_and_a_replaced_ca_key_are_found_by_every_act() {
    let site = crowded();
    Database::of(&site).change("DELETE FROM ledger WHERE seq = (SELECT max(seq) FROM ledger)", []);
    found(&site, "is in no ledger entry");
    let site = crowded();
    let key = Database::of(&site).blob("SELECT sealed FROM sealed_key LIMIT 1", []);
    Database::of(&site).change("UPDATE issuer SET sealed_key = ?1", [key]);
    found(&site, "`issuer/1` is not what the ledger says it is");
}

/// Its row is not among what an act of many looks at, and its public key is still the key's: only the proof finds it.
#[test]
fn among_many_a_certificate_whose_signature_was_damaged_is_not_handed_over() {
    let site = crowded();
    let three = site.serial("client3");
    {
        let database = Database::of(&site);
        let id = database.id(&three);
        let mut der = database.blob("SELECT der FROM certificate_der WHERE certificate = ?1", [id]);
        *der.last_mut().expect("a signature") ^= 1;
        database.change("UPDATE certificate_der SET der = ?1 WHERE certificate = ?2", (der, id));
    }
    let why = "the bundle of `client3` was not handed over: the CA in it did not sign the certificate";
    for line in ["export client3 -o again", "export client2 client3 -o . --force"] {
        site.refuses(&format!("{line} --identity key"), 1, why);
    }
    site.run("export client2 -o other --identity key").succeeds();
}

#[test]
fn whoever_takes_back_the_list_too_still_meets_the_published_one() {
    let site = keyholders::locked();
    site.run("issue client2 client3 --identity key").succeeds();
    let (row, chunk) = {
        let database = Database::of(&site);
        let chunk = database.blob("SELECT der FROM crl_chunk", []);
        (database.blob("SELECT CAST(this_update AS BLOB) FROM crl", []), chunk)
    };
    site.run("revoke client1 --identity key").succeeds();
    let serial = site.serial("client1");
    {
        let database = Database::of(&site);
        database.take_back_revocation(&serial, Macs::Kept);
        database.change("UPDATE crl_chunk SET der = ?1, number = 1", [chunk]);
        database
            .change("UPDATE crl SET number = 1, entries = 0, this_update = CAST(CAST(?1 AS TEXT) AS INTEGER)", [row]);
    }
    found(&site, "MAC does not match");
    revocation_works(&site, &serial);
}

#[test]
fn a_sealed_key_swapped_for_another_of_this_vault_is_found() {
    let site = site();
    let [two, three] = ["client2", "client3"].map(|name| site.serial(name));
    {
        let database = Database::of(&site);
        let other = database.blob("SELECT sealed FROM sealed_key WHERE certificate = ?1", [database.id(&three)]);
        let id = database.id(&two);
        database.change("UPDATE sealed_key SET sealed = ?1 WHERE certificate = ?2", (other, id));
    }
    found(&site, &format!("`key/{two}` is not what the ledger says it is"));
    let once = site.serial("client1");
    revocation_works(&site, &once);
}

#[test]
fn a_sealed_key_swapped_for_a_foreign_age_file_is_found_also_when_the_ledger_vouches_for_it() {
    let site = site();
    let two = site.serial("client2");
    {
        let database = Database::of(&site);
        let id = database.id(&two);
        let foreign = foreign_age_file();
        database.change("UPDATE sealed_key SET sealed = ?1 WHERE certificate = ?2", (&foreign, id));
        let fact = Change::SealedKey(two.parse().expect("a serial"), Some(foreign));
        database.vouch_for(&fact.key(), fact.digest(), Macs::Kept);
    }
    found(&site, "MAC does not match");
    let once = site.serial("client1");
    revocation_works(&site, &once);
}

#[test]
fn a_control_channel_key_that_was_replaced_is_found() {
    let site = site();
    Database::of(&site).change("UPDATE secret SET sealed = ?1", [foreign_age_file()]);
    found(&site, "`secret/control-channel-key/` is not what the ledger says it is");
    let once = site.serial("client1");
    revocation_works(&site, &once);
}

#[test]
fn a_certificate_that_was_slipped_in_is_found() {
    let site = site();
    Database::of(&site).change(
        "INSERT INTO certificate (serial, issuer, peer, algorithm, not_before, not_after, issued, entry)
         SELECT x'4142434445464748494a4b4c4d4e4f50', issuer, peer, algorithm, not_before, not_after, issued, entry
         FROM certificate LIMIT 1",
        [],
    );
    found(&site, "`certificate/4142434445464748494A4B4C4D4E4F50` is in no ledger entry");
    let once = site.serial("client1");
    revocation_works(&site, &once);
}

#[test]
fn a_ledger_whose_tail_was_cut_off_is_found() {
    let site = site();
    let serial = site.serial("client1");
    Database::of(&site).change("DELETE FROM ledger WHERE seq = (SELECT max(seq) FROM ledger)", []);
    found(&site, "is not what the ledger says it is");
    site.run("log verify").exits(1).says("1 revoked, but the newest entry");
    revocation_works(&site, &serial);
}

#[test]
fn an_entry_that_was_taken_out_of_the_middle_is_found() {
    let site = site();
    let serial = site.serial("client1");
    Database::of(&site).change("DELETE FROM ledger WHERE seq = 2", []);
    found(&site, "does not follow the entry before it");
    revocation_works(&site, &serial);
}

#[test]
fn an_entry_that_was_changed_is_found() {
    let site = site();
    let serial = site.serial("client1");
    Database::of(&site).change("UPDATE ledger SET body = replace(body, 'client2', 'client7') WHERE seq = 2", []);
    found(&site, "entry 2 was changed: its hash does not match");
    revocation_works(&site, &serial);
}

/// Nothing can be signed then: the revocation is recorded, the lists that servers have stay, and the key put back mends it.
#[track_caller]
fn recorded_without_a_list(site: &Site) {
    let before = site.read("server/crl.pem");
    site.run("revoke client2 --identity key").exits(1).says("the revocation is recorded, but no CRL could be signed");
    assert_eq!(site.status("client2"), "revoked");
    assert_eq!(site.read("server/crl.pem"), before, "the list of before stays in place");
    refused(site);
}

#[test]
fn the_sealed_key_of_the_ca_replaced_is_found_and_a_revocation_is_recorded() {
    let site = site();
    let [one, two, three] = ["client1", "client2", "client3"].map(|name| site.serial(name));
    let kept = Database::of(&site).blob("SELECT sealed_key FROM issuer", []);
    Database::of(&site).change("UPDATE issuer SET sealed_key = ?1", [foreign_age_file()]);
    found(&site, "`issuer/1` is not what the ledger says it is");
    recorded_without_a_list(&site);
    site.run("crl refresh --identity key").exits(1).says("no CRL was signed");
    Database::of(&site).change("UPDATE issuer SET sealed_key = ?1", [kept]);
    site.run("revoke client3 --identity key").exits(0);
    assert_eq!(published(&site, "server/crl.pem").1, [one, two, three].into());
    refused(&site);
}

#[test]
fn the_ca_replaced_whole_and_sealed_for_this_vault_is_found_and_a_revocation_is_recorded() {
    let site = site();
    let [one, two, three] = ["client1", "client2", "client3"].map(|name| site.serial(name));
    let kept = {
        let database = Database::of(&site);
        let kept =
            ["certificate", "sealed_key"].map(|column| database.blob(&format!("SELECT {column} FROM issuer"), []));
        let (certificate, sealed) = another_ca(&site);
        database.change("UPDATE issuer SET certificate = ?1, sealed_key = ?2", (certificate, sealed));
        kept
    };
    found(&site, "the CA certificate is not the one this vault was made for");
    recorded_without_a_list(&site);
    let [certificate, sealed] = kept;
    Database::of(&site).change("UPDATE issuer SET certificate = ?1, sealed_key = ?2", (certificate, sealed));
    site.run("revoke client3 --identity key").exits(0);
    assert_eq!(published(&site, "server/crl.pem").1, [one, two, three].into());
    refused(&site);
}

#[test]
fn a_leaf_in_the_place_of_the_ca_is_found_and_a_revocation_is_recorded() {
    for certificate in ["(SELECT der FROM certificate_der LIMIT 1)", "x'3000'"] {
        let site = site();
        let [one, two, three] = ["client1", "client2", "client3"].map(|name| site.serial(name));
        let kept = Database::of(&site).blob("SELECT certificate FROM issuer", []);
        Database::of(&site).change(&format!("UPDATE issuer SET certificate = {certificate}"), []);
        found(&site, "the CA certificate is not the one this vault was made for");
        recorded_without_a_list(&site);
        site.run("log verify --identity key").exits(1).says("MISMATCH");
        Database::of(&site).change("UPDATE issuer SET certificate = ?1", [kept]);
        site.run("revoke client3 --identity key").exits(0);
        assert_eq!(published(&site, "server/crl.pem").1, [one, two, three].into());
        refused(&site);
    }
}

#[test]
fn a_list_that_was_taken_out_of_the_store_or_damaged_is_found_and_signed_anew() {
    for sql in ["DELETE FROM crl", "DELETE FROM crl_chunk", "UPDATE crl_chunk SET der = x'3000'"] {
        let site = site();
        let one = site.serial("client1");
        Database::of(&site).change(sql, []);
        found(&site, "`crl/1` is");
        revocation_works(&site, &one);
    }
    // where no target tells the number, those of before are given again
    let site = Site::new();
    site.run("crl refresh --no-publish").succeeds();
    Database::of(&site).change("DELETE FROM crl", []);
    for number in 1..4 {
        site.run("crl refresh --no-publish").exits(0).says(&format!("signed CRL {number} "));
    }
}

/// A list from before `client1` was revoked, put back in the place of the newest, beside a certificate that was un-revoked:
/// with its own number and entry it is vouched for, but the ledger goes on after it; with those of the newest nothing vouches
/// for it. The published list, which knows better, is gone as well.
#[test]
fn an_older_list_in_the_place_of_the_newest_hides_nobody() {
    for as_the_newest in [false, true] {
        let site = keyholders::locked();
        site.run("issue client2 client3 --identity key").succeeds();
        let serial = site.serial("client1");
        let old = Database::of(&site).blob("SELECT der FROM crl_chunk", []);
        site.run("revoke client1 --identity key").succeeds();
        let database = Database::of(&site);
        database.change("UPDATE certificate SET revoked = NULL, reason = NULL WHERE revoked IS NOT NULL", []);
        database.change("UPDATE crl_chunk SET der = ?1", [old]);
        if !as_the_newest {
            database.change("UPDATE crl_chunk SET number = 1", []);
            database.change("UPDATE crl SET number = 1, entries = 0, entry = 1", []);
        }
        drop(database);
        fs::remove_file(site.path("server/crl.pem")).expect("a list");
        site.run("crl refresh --identity key").exits(0);
        assert!(published(&site, "server/crl.pem").1.contains(&serial), "as the newest: {as_the_newest}");
        assert_eq!(site.status("client1"), "revoked");
    }
}

#[test]
fn what_is_changed_beyond_reading_is_an_error_and_no_panic() {
    for (sql, line) in [
        ("UPDATE peer SET name = '../../etc/passwd' WHERE name = 'client2'", "list"),
        ("UPDATE certificate SET serial = x'' WHERE id = 2", "list --history"),
        ("UPDATE certificate SET not_after = 0", "list"),
        ("UPDATE peer SET role = 'client' ", "log verify"),
        ("UPDATE ledger SET body = '{}'", "log verify"),
        ("UPDATE ledger SET hash = zeroblob(32)", "log verify"),
        ("UPDATE crl_chunk SET der = x'3000'", "crl show"),
        ("UPDATE issuer SET certificate = x'3000'", "status"),
        ("DELETE FROM authority", "issue client9"),
        ("UPDATE format SET version = 7", "list"),
        ("UPDATE format SET version = -1", "list"),
        ("DROP TABLE ledger", "log"),
    ] {
        let site = Site::new();
        site.run("issue client2").succeeds();
        {
            let connection = rusqlite::Connection::open(site.path("pki/pki.db")).expect("the store");
            // the checks of the schema bind no one who writes the file
            connection
                .execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF")
                .expect("a wish");
            connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        let outcome = site.run(line).exits(1);
        assert!(outcome.stderr.starts_with("error: "), "{sql}\n{outcome}");
        assert!(!outcome.stderr.contains("panicked"), "{sql}\n{outcome}");
    }
}

#[test]
fn text_that_was_slipped_in_does_not_reach_the_terminal_as_it_is() {
    let site = Site::new();
    {
        let database = Database::of(&site);
        let evil = "/\u{1b}[31m\u{7}evil";
        database.change("INSERT INTO target (dir, server, added, entry) VALUES (?1, 'server', 0, 1)", [evil]);
        database.change("UPDATE unlocker SET label = ?1", [evil]);
    }
    for line in ["log verify", "issue client2", "status", "crl publish", "revoke client1"] {
        let outcome = site.run(line);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!said.contains(['\u{1b}', '\u{7}']), "{outcome}");
    }
}

#[test]
fn a_problem_is_told_whole() {
    let site = site();
    Database::of(&site).change("DELETE FROM ledger WHERE seq = (SELECT max(seq) FROM ledger)", []);
    let outcome = site.run("log verify").exits(1);
    assert!(!outcome.stdout.contains("..."), "{outcome}");
    assert!(outcome.stdout.contains("but the newest entry (2) counts 4 and 0"), "{outcome}");
}

/// An age file to somebody else.
fn foreign_age_file() -> Vec<u8> {
    age::encrypt(&x25519::Identity::generate().to_public(), b"something").expect("an age file")
}

/// Another CA's certificate, and its key sealed as this vault seals the key of a CA.
fn another_ca(site: &Site) -> (Vec<u8>, Vec<u8>) {
    let store = store::open(&site.path("pki"), Access::Read).expect("the store");
    let view = store.snapshot().expect("a snapshot");
    let identity = IdentityFile::parse(&fs::read(site.path("key")).expect("a key")).expect("an identity");
    let unlockers = view.unlockers().expect("unlockers");
    let copies = unlockers.iter().map(|unlocker| &*unlocker.wrapped);
    let vault: VaultKeys = open_any(copies, &Key::Identities(&identity)).expect("an open vault");
    let key = PrivateKey::generate(Algorithm::P256).expect("a key");
    let serial = Serial::fresh([9; 16]);
    let profile = CaProfile {
        common_name: "another".to_owned(),
        serial,
        validity: Validity::of_days(Time::from_unix(1_700_000_000), 20_000, 0),
    };
    let certificate = self_sign(&profile, &key).expect("a certificate");
    let binding = Binding::ca_key(&view.identity().expect("an authority").id, &serial);
    let sealed = vault.seal(&binding, &Secret::new(key.to_pem().expose().to_vec())).expect("a sealed key");
    (certificate, sealed)
}
