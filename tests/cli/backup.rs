//! Backups: one file that the vault's unlockers open, and an authority that comes out of it whole, or not at all.
//! What becomes of somebody revoked in between is here too; `rollback.rs` has it without `restore`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
};

use crate::{
    common::Outcome,
    keyholders::{contains, locked, IDENTITY, OTHER_IDENTITY},
    revocation::published,
    site::Site,
};

/// An authority that opens by `key`, and a backup of it.
fn backed_up() -> Site {
    let site = locked();
    site.sh("mkdir pki/templates && cp pki/vpnpki.toml settings").succeeds();
    site.run("backup -o backup").succeeds();
    site
}

fn lose(site: &Site) {
    fs::remove_dir_all(site.path("pki")).expect("an authority to lose");
}

#[test]
fn it_needs_no_key_and_holds_nothing_in_clear() {
    let site = backed_up();
    let mode = site.path("backup").metadata().expect("a backup").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = site.read("backup");
    assert!(bytes.starts_with(b"vpnpki-backup 1\n{"));
    for words in ["client1", "SQLite format", "PRIVATE KEY", "vpn.example.com", "AGE-SECRET-KEY"] {
        assert!(!contains(&bytes, words.as_bytes()), "`{words}` lies in the backup");
    }
    site.refuses("backup -o backup", 1, "`--force` replaces it");
    site.run("backup -o backup --force").succeeds();
    site.refuses("backup", 2, "--out");
    site.refuses("backup -o - --json", 2, "standard output");
    let outcome = site.sh("vpnpki backup -o - > other && vpnpki backup --verify other --identity key").succeeds();
    assert!(outcome.stdout.starts_with("other can be restored\n"), "{outcome}");
}

#[test]
fn it_is_verified_without_being_restored() {
    let site = backed_up();
    site.refuses("backup --verify backup --identity key", 0, "can be restored");
    let report = site.json("backup --verify backup --identity key");
    assert_eq!(report["certificates"], 2);
    assert_eq!(report["files"][0], "vpnpki.toml");
    let head = report["head"].as_str().expect("a head").to_owned();
    site.run(&format!("log verify --head {head}")).succeeds();
    site.write("other", OTHER_IDENTITY);
    site.refuses("backup --verify backup --identity other", 4, "stays locked");
    site.refuses("backup --verify backup --batch", 4, "no identity was given");
    site.refuses("backup --verify vpn.backup --identity key", 1, "vpn.backup");
}

#[test]
fn a_passphrase_opens_it_and_a_wrong_one_is_4() {
    let site = Site::empty();
    site.write("secret", "correct horse\n");
    site.write("wrong", "wrong horse\n");
    site.run("init --remote vpn.example.com --no-export --passphrase-file secret").succeeds();
    site.run("backup -o backup").succeeds();
    lose(&site);
    site.refuses("restore backup --passphrase-file wrong", 4, "the passphrase is wrong");
    site.run("restore backup --passphrase-file secret --no-publish").succeeds();
    site.run("log verify --passphrase-file secret").succeeds().says("with the vault");
}

#[test]
fn an_authority_comes_back_as_it_was() {
    let site = locked();
    site.run("export client1 -o before.ovpn --identity key").succeeds();
    site.sh("mkdir pki/templates").succeeds();
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/client.conf");
    fs::copy(template, site.path("pki/templates/client.conf")).expect("a template");
    let settings = site.text("pki/vpnpki.toml");
    site.run("backup -o backup").succeeds();
    for before in ["true", "mkdir pki"] {
        lose(&site);
        site.sh(before).succeeds();
        site.run("restore backup --identity key").succeeds();
        assert_eq!(site.text("pki/vpnpki.toml"), settings);
        assert!(site.path("pki/templates/client.conf").is_file());
        site.run("log verify --identity key").succeeds().says("with the vault");
        site.run("log").says("restore: restored from a backup made");
        site.run("export client1 -o after.ovpn --force --identity key").succeeds();
        assert_eq!(site.read("after.ovpn"), site.read("before.ovpn"));
        let modes = site.sh("stat -c '%a %n' pki pki/pki.db pki/vpnpki.toml pki/templates/client.conf").stdout;
        assert_eq!(modes, "700 pki\n600 pki/pki.db\n644 pki/vpnpki.toml\n644 pki/templates/client.conf\n");
        assert_eq!(site.sh("ls -A pki").stdout, "pki.db\ntemplates\nvpnpki.toml\n");
    }
}

#[test]
fn nothing_is_restored_over_what_is_there() {
    let site = backed_up();
    site.refuses("restore backup --identity key", 1, "there is an authority in `pki` already");
    site.refuses("restore backup --identity key --if-missing", 0, "nothing was changed");
    site.sh("mkdir other mine && echo mine > mine/vpnpki.toml && touch other/thesis.tex").succeeds();
    site.refuses("--pki other restore backup --identity key", 1, "thesis.tex");
    site.refuses("--pki mine restore backup --identity key", 1, "vpnpki.toml");
    site.refuses("--pki new restore backup --identity key --dry-run", 0, "would restore");
}

#[test]
fn the_clear_key_is_put_in_place_again() {
    let site = Site::new();
    site.run("backup -o backup").succeeds().says("keep a copy of that file elsewhere");
    site.sh("mv pki/vault.key kept && rm -r pki").succeeds();
    site.refuses("restore backup --batch", 4, "no identity was given");
    site.sh("printf '# two\\n' > both && cat kept >> both").succeeds();
    site.run("restore backup --identity both --no-publish").succeeds().says("vault.key is in place again");
    assert_eq!(site.text("pki/vault.key"), site.text("kept"));
    site.run("issue client2").succeeds();
}

#[test]
fn a_clear_key_that_did_not_open_it_is_missed() {
    let site = Site::new();
    let mut add = site.vpnpki("unlocker add");
    Outcome::of(add.args(["--recipient", crate::keyholders::AGE])).succeeds();
    site.write("key", IDENTITY);
    let outcome = site.run("backup -o backup").succeeds();
    assert!(!outcome.stderr.contains("never beside"), "{outcome}");
    lose(&site);
    site.run("restore backup --identity key --no-publish").succeeds().says("`vault.key` is not part of a backup");
    site.run("issue client2 --identity key").succeeds();
}

#[test]
fn damage_anywhere_is_refused_and_nothing_is_touched() {
    let site = backed_up();
    lose(&site);
    let whole = site.read("backup");
    let header = whole.iter().skip(16).position(|&byte| byte == b'\n').expect("a header") + 17;
    let before = site.state();
    // every byte of the header, and many after it
    let flips = (0..header).chain((header..whole.len()).step_by(whole.len() / 60)).chain([whole.len() - 1]);
    for place in flips {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        refused(&site, &flipped, &format!("flipped at {place}"));
    }
    for end in [0, 1, 15, 16, 17, 40, header - 1, header, header + 1, whole.len() / 2, whole.len() - 1] {
        refused(&site, &whole[..end], &format!("cut at {end}"));
    }
    refused(&site, &[&whole[..], b"\n"].concat(), "extended");
    refused(&site, b"# a text\n", "foreign");
    refused(&site, &whole.repeat(2), "twice");
    fs::write(site.path("backup"), &whole).expect("the backup");
    site.expect_state(&before, &site.run("status"));
    site.run("restore backup --identity key").succeeds();
}

#[track_caller]
fn refused(site: &Site, bytes: &[u8], what: &str) {
    fs::write(site.path("backup"), bytes).expect("a backup");
    let outcome = site.run("restore backup --identity key");
    let code = outcome.status.code();
    assert!(matches!(code, Some(1 | 4)), "{what}\n{outcome}");
    let strays: Vec<PathBuf> = site.state().into_keys().filter(|path| path.to_string_lossy().contains("pki")).collect();
    assert!(strays.is_empty(), "{what}: {strays:?}");
}

#[test]
fn parts_of_two_backups_are_none() {
    let site = backed_up();
    let first = site.text_lossy("backup");
    site.run("issue client2 --no-export --identity key").succeeds();
    site.run("backup -o second").succeeds();
    let second = site.text_lossy("second");
    assert_ne!(first, second);
    // the header's moment of another
    let moment = |text: &str| text.split("\"created\":\"").nth(1).expect("a moment")[..20].to_owned();
    let bytes = site.read("second");
    let (old, new) = (moment(&second), "2001-01-01T00:00:00Z".to_owned());
    let place = bytes.windows(old.len()).position(|window| window == old.as_bytes()).expect("it is there");
    let mut mixed = bytes;
    mixed[place..place + old.len()].copy_from_slice(new.as_bytes());
    fs::write(site.path("mixed"), mixed).expect("a file");
    site.refuses("backup --verify mixed --identity key", 1, "put together from several");
}

#[test]
fn who_was_revoked_since_then_stays_revoked() {
    let site = Site::published("--issue client1 client2");
    site.run("backup -o backup").succeeds();
    site.run("revoke client1").succeeds();
    site.run("issue client3").succeeds();
    let (serial, unknown) = (site.serial("client1"), site.serial("client3"));
    site.run("revoke client3").succeeds();
    site.sh("mv pki/vault.key key && rm -r pki").succeeds();
    let outcome = site.run("restore backup --identity key").succeeds();
    assert!(outcome.stdout.contains(&format!("revoked since then: client1 serial:{serial}")), "{outcome}");
    assert!(outcome.stdout.contains(&format!("revoked since then: somebody unknown serial:{unknown}")), "{outcome}");
    let (number, serials) = published(&site, "server/crl.pem");
    assert!(number > 3 && serials.contains(&serial) && serials.contains(&unknown), "{number} {serials:?}");
    assert_eq!(site.status("client1"), "revoked");
    site.run("log verify").succeeds();
    site.run("status").succeeds();
}

#[test]
fn servers_that_the_backup_does_not_know_are_told() {
    let site = Site::published("--issue client1");
    site.run("backup -o backup").succeeds();
    site.run("issue server-2 --role server --format dir -o second").succeeds();
    let serial = site.serial("server-2");
    site.sh("cp second/server-2.crt server/ || cp second/*.crt server/; mv pki/vault.key key; rm -r pki").succeeds();
    let outcome = site.run("restore backup --identity key").succeeds();
    assert!(outcome.stdout.contains(&format!("issued since then: server-2 serial:{serial}")), "{outcome}");
    assert_eq!(outcome.stdout.matches("issued since then").count(), 1, "{outcome}");
}

#[test]
fn targets_are_left_alone_when_asked() {
    let site = Site::published("--issue client1");
    site.run("backup -o backup").succeeds();
    site.run("revoke client1").succeeds();
    let before = site.read("server/crl.pem");
    site.sh("mv pki/vault.key key; rm -r pki").succeeds();
    site.run("restore backup --identity key --no-publish").succeeds().says("not published, as asked");
    assert_eq!(site.read("server/crl.pem"), before);
    assert_eq!(site.status("client1"), "revoked");
    site.run("crl publish").succeeds();
    assert!(published(&site, "server/crl.pem").0 > 2);
}

#[test]
fn a_target_that_cannot_be_read_is_not_passed_over() {
    let site = Site::published("--issue client1");
    site.run("backup -o backup").succeeds();
    site.run("revoke client1").succeeds();
    let crl = site.read("server/crl.pem");
    site.sh("mv pki/vault.key key; rm -r pki; mv server/crl.pem kept; ln -s nowhere server/crl.pem").succeeds();
    site.refuses("restore backup --identity key", 1, "nothing was restored: the CRL in");
    site.run("restore backup --identity key --no-publish").succeeds().says("look at it before `vpnpki crl publish`");
    site.sh("mv kept server/crl.pem").succeeds();
    assert_eq!(site.read("server/crl.pem"), crl);
}

#[test]
fn targets_named_in_the_settings_are_found_before_the_directory_is() {
    let site = Site::made("--issue client1");
    site.set("# [[publish]]", "[[publish]]\ndir = \"../server\"");
    site.run("backup -o backup").succeeds();
    site.run("revoke client1").succeeds();
    site.sh("mv pki/vault.key key; rm -r pki").succeeds();
    site.run("restore backup --identity key").succeeds().says("revoked since then: client1");
    assert!(published(&site, "server/crl.pem").0 > 2);
}

#[test]
fn it_is_consistent_while_four_write() {
    let site = Site::new();
    thread::scope(|scope| {
        let site = &site;
        for writer in 0..4 {
            scope.spawn(move || {
                for number in 0..6 {
                    site.run(&format!("issue w{writer}-{number} --no-export")).succeeds();
                }
            });
        }
        for number in 0..6 {
            site.run(&format!("backup -o backup{number}")).succeeds();
        }
    });
    for number in 0..6 {
        let line = format!("backup --verify backup{number} --identity pki/vault.key");
        site.run(&line).succeeds();
    }
    site.sh("mv pki/vault.key key; rm -r pki").succeeds();
    site.run("restore backup5 --identity key --no-publish").succeeds();
    site.run("log verify").succeeds().says("with the vault");
}

#[test]
fn an_older_backup_opens_with_what_opened_the_vault_then() {
    let site = backed_up();
    site.run("unlocker rotate --identity key").succeeds();
    site.run("backup --verify backup --identity key").succeeds();
    site.run("backup -o newer").succeeds();
    site.run("backup --verify newer --identity key").succeeds();
}
