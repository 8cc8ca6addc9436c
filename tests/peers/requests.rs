//! Requests as `OpenSSL` makes and reads them, and a tunnel with a key that only its owner ever had.
//! Knows requests only as files that are handed over.

use std::fs;

use crate::{
    common::Outcome,
    network::Network,
    openvpn::OpenVpn,
    site::{chmod, Site},
};

/// A key of this kind and a request for it by `openssl req`, in `NAME.key` and `NAME.csr`.
#[track_caller]
fn by_openssl(site: &Site, name: &str, key: &str, more: &str) {
    let line = format!(
        "openssl req -new -nodes -newkey {key} -keyout {name}.key -out {name}.csr -subj /CN={name} {more} -config req.cnf"
    );
    site.tool(&line).succeeds();
}

fn with_wishes() -> Site {
    let site = Site::with_authority("");
    let wishes = "[req]\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\n[ext]\nbasicConstraints=critical,CA:TRUE\n\
                  keyUsage=keyCertSign\nsubjectAltName=DNS:vpn.example.com\nextendedKeyUsage=serverAuth\n";
    fs::write(site.path("req.cnf"), wishes).unwrap();
    site
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn requests_of_openssl_give_their_key_and_nothing_else() {
    let site = with_wishes();
    for (name, key, more) in [
        ("rsa", "rsa:2048", ""),
        ("rsa-sha512", "rsa:3072", "-sha512"),
        ("p256", "ec -pkeyopt ec_paramgen_curve:P-256", ""),
        ("p256-sha384", "ec -pkeyopt ec_paramgen_curve:P-256", "-sha384"),
        ("p384", "ec -pkeyopt ec_paramgen_curve:P-384", ""),
        ("ed25519", "ed25519", ""),
        ("p256-der", "ec -pkeyopt ec_paramgen_curve:P-256", "-outform DER"),
    ] {
        by_openssl(&site, name, key, more);
        site.run(&format!("issue {name} --csr {name}.csr --format dir")).succeeds();
        let shown = site.tool(&format!("openssl x509 -in {name}/{name}.crt -noout -text")).succeeds().stdout;
        for wish in ["CA:TRUE", "Certificate Sign", "DNS:", "TLS Web Server"] {
            assert!(!shown.contains(wish), "{name} got {wish}:\n{shown}");
        }
        assert!(shown.contains("TLS Web Client Authentication"), "{shown}");
        let public = |line: String| site.tool(&line).succeeds().stdout;
        assert_eq!(
            public(format!("openssl x509 -in {name}/{name}.crt -noout -pubkey")),
            public(format!("openssl pkey -in {name}.key -pubout"))
        );
        site.tool(&format!("openssl verify -x509_strict -CAfile server/ca.crt {name}/{name}.crt")).succeeds();
    }
    site.run("log verify").succeeds();
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn weak_and_strange_keys_of_openssl_are_refused() {
    let site = with_wishes();
    for (name, key, more, why) in [
        ("rsa1024", "rsa:1024", "", "the RSA key has 1024 bits"),
        ("e3", "rsa:2048 -pkeyopt rsa_keygen_pubexp:3", "", "another public exponent than 65537"),
        ("p521", "ec -pkeyopt ec_paramgen_curve:P-521", "", "the public key is none of p256"),
        ("k1", "ec -pkeyopt ec_paramgen_curve:secp256k1", "", "the public key is none of p256"),
        ("ed448", "ed448", "", "the public key is none of p256"),
        ("sha1", "rsa:2048", "-sha1", "it is signed in a way that is not accepted"),
        ("pss", "rsa:2048", "-sigopt rsa_padding_mode:pss", "it is signed in a way that is not accepted"),
    ] {
        by_openssl(&site, name, key, more);
        site.run(&format!("issue {name} --csr {name}.csr")).exits(1).says(why);
        assert!(!site.path(&format!("{name}.ovpn")).exists());
    }
    by_openssl(&site, "one", "ec -pkeyopt ec_paramgen_curve:P-256", "-outform DER");
    let mut request = fs::read(site.path("one.csr")).unwrap();
    // within the CN, which stands behind the version
    let place = request.windows(3).position(|window| window == b"one").unwrap();
    request[place] = b'O';
    fs::write(site.path("one.csr"), request).unwrap();
    site.tool("openssl req -verify -noout -inform DER -in one.csr").says("verify failure");
    site.run("issue one --csr one.csr").exits(1).says("its signature is not by its own key");
    assert_eq!(site.run("list -q").succeeds().stdout, "server\n");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn openssl_verifies_the_requests_of_enroll() {
    let site = Site::new();
    for algorithm in ["p256", "p384", "rsa2048", "rsa3072", "rsa4096", "ed25519"] {
        site.run(&format!("enroll {algorithm} --key {algorithm}")).succeeds();
        let shown = site.tool(&format!("openssl req -verify -text -in {algorithm}.csr")).succeeds();
        assert!(shown.stderr.contains("self-signature verify OK") || shown.stdout.contains("verify OK"), "{shown}");
        assert!(shown.stdout.contains(&format!("Subject: CN = {algorithm}")), "{shown}");
        site.tool(&format!("openssl pkey -in {algorithm}.key -check -noout")).succeeds();
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_key_that_never_left_its_owner_connects() {
    let (admin, user) = (Site::with_authority(""), Site::new());
    user.run("enroll laptop").succeeds();
    fs::copy(user.path("laptop.csr"), admin.path("laptop.csr")).unwrap();
    admin.run("issue laptop --csr laptop.csr").succeeds();
    fs::copy(admin.path("laptop.ovpn"), user.path("laptop.ovpn")).unwrap();
    let network = Network::new(1);
    let _server = admin.server(&network, "server");
    // with the key beside the profile, as the note in it says, and with the key inside
    drop(user.connects(&network, 0, "laptop.ovpn"));
    user.run("enroll --finish laptop.ovpn").succeeds();
    fs::remove_file(user.path("laptop.key")).unwrap();
    drop(user.connects(&network, 0, "laptop.ovpn"));
    admin.run("export laptop --format zip").succeeds();
    admin.tool("unzip -q laptop.zip -d unpacked").succeeds();
    let profile = fs::read_to_string(user.path("laptop.ovpn")).unwrap();
    let key = profile.split("<key>\n").nth(1).and_then(|rest| rest.split("</key>").next()).expect("a key");
    fs::write(admin.path("unpacked/laptop.key"), key).unwrap();
    drop(admin.connects(&network, 0, "unpacked/config.ovpn"));
    fs::remove_file(admin.path("unpacked/laptop.key")).unwrap();
    let line = key.lines().nth(1).expect("a line of the key");
    let found = Outcome::of(std::process::Command::new("grep").args(["-rlF", line]).arg(admin.dir()));
    assert_eq!((found.status.code(), found.stdout.as_str()), (Some(1), ""), "{found}");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_key_with_a_passphrase_that_never_left_its_owner_connects() {
    let (admin, user) = (Site::with_authority(""), Site::new());
    fs::write(user.path("word"), "correct horse\n").unwrap();
    chmod(&user.path("word"), 0o600);
    user.run("enroll laptop --key-passphrase-file word").succeeds();
    user.tool("openssl pkey -in laptop.key -passin file:word -noout -check").succeeds();
    user.tool("openssl req -verify -noout -in laptop.csr").succeeds();
    fs::copy(user.path("laptop.csr"), admin.path("laptop.csr")).unwrap();
    admin.run("issue laptop --csr laptop.csr").succeeds();
    fs::copy(admin.path("laptop.ovpn"), user.path("laptop.ovpn")).unwrap();
    user.run("enroll --finish laptop.ovpn --key-passphrase-file word").succeeds();
    let profile = fs::read_to_string(user.path("laptop.ovpn")).unwrap();
    let network = Network::new(1);
    let _server = admin.server(&network, "server");
    fs::write(user.path("wrong"), "incorrect horse\n").unwrap();
    for (word, connects) in [("word", true), ("wrong", false)] {
        fs::write(user.path("asked.ovpn"), format!("askpass {word}\n{profile}")).unwrap();
        if connects {
            drop(user.connects(&network, 0, "asked.ovpn"));
            continue;
        }
        let mut refused = OpenVpn::start(&network.clients[0], &user.path("asked.ovpn"));
        refused.wait_for("Error: private key password verification failed", 0);
        assert!(!refused.is_up(), "{}", refused.log());
    }
}
