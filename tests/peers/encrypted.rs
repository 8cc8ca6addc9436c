//! Private keys and PKCS#12 that a passphrase opens: that others read what we write, that we read what they write, and that
//! `OpenVPN` connects with it.
//! Knows the formats only as files that programs are given.

use std::fs;

use vpnpki::{
    pki::{read_pkcs12, Algorithm, KeyEncryption, LockError, Pkcs12Error, PrivateKey},
    secret::Secret,
};

use crate::{
    mbed::Mbed,
    network::{Network, INSIDE},
    openvpn::OpenVpn,
    site::{chmod, Site},
};

const PASSPHRASE: &str = "correct-horse";

/// An authority with `client1` as files, and the passphrases `word` and `wrong`.
fn site(algorithm: &str) -> Site {
    let site = Site::with_authority(&format!("--key {algorithm} --issue client1"));
    for (file, text) in [("word", PASSPHRASE), ("wrong", "incorrect-horse")] {
        fs::write(site.path(file), format!("{text}\n")).expect("a passphrase");
        chmod(&site.path(file), 0o600);
    }
    site.run("export client1 --format dir -o client1").succeeds();
    site
}

/// The public key of `client1` in PEM, as OpenSSL reads it in its certificate.
fn public_key(site: &Site) -> String {
    site.tool("openssl x509 -in client1/client1.crt -noout -pubkey").succeeds().stdout
}

fn secret() -> Secret {
    Secret::from(PASSPHRASE.to_owned())
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn encrypted_keys_are_read_by_openssl_and_gnutls() {
    for algorithm in ["p256", "p384", "rsa2048", "ed25519"] {
        let site = site(algorithm);
        site.run("export client1 --format dir -o locked --key-passphrase-file word").succeeds();
        let read = site.tool("openssl pkey -in locked/client1.key -passin file:word -pubout").succeeds();
        assert_eq!(read.stdout, public_key(&site), "{algorithm}");
        site.tool("openssl pkey -in locked/client1.key -passin file:wrong -noout").exits(1);
        let shown = site.tool("openssl asn1parse -in locked/client1.key").succeeds();
        shown.says("PBES2").says("PBKDF2").says("hmacWithSHA256").says(":0927C0").says("aes-256-cbc");
        let read =
            site.tool(&format!("certtool --pubkey-info --load-privkey locked/client1.key --password {PASSPHRASE}"));
        let read = read.succeeds().stdout;
        assert_eq!(&read[read.find("-----BEGIN").expect("a key")..], public_key(&site), "{algorithm}");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn mbed_tls_reads_the_keys_that_are_made_for_it_and_not_the_others() {
    let site = Site::new();
    let mbed = Mbed::compiled(&site);
    for (algorithm, name) in
        [(Algorithm::P256, "EC 256"), (Algorithm::P384, "EC 384"), (Algorithm::Rsa2048, "RSA 2048")]
    {
        let key = PrivateKey::generate(algorithm).expect("a key");
        for (file, encryption) in [("des.key", KeyEncryption::DesEde3), ("aes.key", KeyEncryption::Aes256)] {
            let pem = key.to_encrypted_pem(&secret(), encryption).expect("an encrypted key");
            fs::write(site.path(file), pem.expose()).expect("a key");
        }
        mbed.reads(&site, "des.key", PASSPHRASE).succeeds().says(name);
        // MBEDTLS_ERR_PK_PASSWORD_MISMATCH, and MBEDTLS_ERR_PKCS5_FEATURE_UNAVAILABLE
        mbed.reads(&site, "des.key", "incorrect-horse").exits(1).says("-0x3b80");
        mbed.reads(&site, "aes.key", PASSPHRASE).exits(1).says("-0x2e80");
        site.tool("openssl pkey -in des.key -passin pass:correct-horse -noout").succeeds();
    }
}

/// The certificates and the key of a PKCS#12, as another library reads them: names, then what belongs together.
const PYCA: &str = r"
import sys
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs12
p12 = pkcs12.load_pkcs12(open(sys.argv[1], 'rb').read(), open(sys.argv[2], 'rb').readline().rstrip())
public = lambda key: key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
assert public(p12.key.public_key()) == public(p12.cert.certificate.public_key())
p12.cert.certificate.verify_directly_issued_by(p12.additional_certs[0].certificate)
print(p12.cert.friendly_name.decode(), len(p12.additional_certs), public(p12.key.public_key()), sep='\n', end='')
";

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_pkcs12_is_read_by_openssl_gnutls_and_pyca() {
    for algorithm in ["p256", "p384", "rsa2048", "ed25519"] {
        let site = site(algorithm);
        fs::write(site.path("read.py"), PYCA).expect("a program");
        for (option, mac, scheme, rounds) in [
            ("", "MAC: sha256,", "PBES2, PBKDF2, AES-256-CBC, Iteration 300000, PRF hmacWithSHA256", "300000"),
            ("--p12-legacy", "MAC: sha1,", "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 100000", "100000"),
        ] {
            site.run(&format!("export client1 --format p12 --key-passphrase-file word --force {option}")).succeeds();
            let shown = site.tool("openssl pkcs12 -in client1.p12 -passin file:word -noout -info").succeeds();
            let shown = shown.says(mac).says(&format!("Iteration {rounds}"));
            assert_eq!(shown.stderr.matches(scheme).count(), 2, "certificates and key: {shown}");
            site.tool("openssl pkcs12 -in client1.p12 -passin file:wrong -noout").exits(1);
            let key = site.tool("openssl pkcs12 -in client1.p12 -passin file:word -nocerts -nodes").succeeds();
            assert_eq!(key.stdout.matches("friendlyName: client1").count(), 1, "{key}");
            let line = format!("certtool --p12-info --inder --infile client1.p12 --password {PASSPHRASE}");
            site.tool(&line).succeeds().says("Friendly name: client1");
            let read = site.tool("python3 read.py client1.p12 word").succeeds();
            assert_eq!(read.stdout, format!("client1\n1\n{}", public_key(&site)));
            site.tool("python3 read.py client1.p12 wrong").exits(1);
        }
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_pkcs12_is_imported_by_nss() {
    for (algorithm, option) in [("p256", ""), ("rsa2048", ""), ("p256", "--p12-legacy"), ("rsa2048", "--p12-legacy")] {
        let site = site(algorithm);
        site.run(&format!("export client1 --format p12 --key-passphrase-file word {option}")).succeeds();
        fs::create_dir(site.path("nss")).expect("a directory");
        site.tool("certutil -N -d sql:nss --empty-password").succeeds();
        let refused = site.tool("pk12util -i client1.p12 -d sql:nss -w wrong");
        assert!(!refused.status.success(), "{refused}");
        site.tool("pk12util -i client1.p12 -d sql:nss -w word").succeeds();
        let keys = site.tool("certutil -K -d sql:nss").succeeds();
        assert!(keys.stdout.contains(" client1\n"), "{keys}");
        // u: the key of this certificate is here
        let certificates = site.tool("certutil -L -d sql:nss").succeeds().says("openvpn 10.99.0.1");
        let own = certificates.stdout.lines().find(|line| line.starts_with("client1 ")).expect("its certificate");
        assert!(own.ends_with("u,u,u"), "{certificates}");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn what_others_write_is_read() {
    let site = site("p256");
    let export = "openssl pkcs12 -export -inkey client1/client1.key -in client1/client1.crt -certfile client1/ca.crt \
                  -passout file:word -out";
    let triple = "-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1";
    let gnutls = format!(
        "certtool --to-p12 --load-privkey client1/client1.key --load-certificate client1/client1.crt --load-ca-certificate \
         client1/ca.crt --p12-name client1 --password {PASSPHRASE} --outder --outfile gnutls.p12"
    );
    site.tool(&format!("{export} modern.p12")).succeeds();
    site.tool(&format!("{export} triple.p12 {triple}")).succeeds();
    site.tool(&format!("{export} sha512.p12 -macalg sha512")).succeeds();
    site.tool(&gnutls).succeeds();
    fs::create_dir(site.path("nss")).expect("a directory");
    site.tool("certutil -N -d sql:nss --empty-password").succeeds();
    site.run("export client1 --format p12 --key-passphrase-file word").succeeds();
    site.tool("pk12util -i client1.p12 -d sql:nss -w word").succeeds();
    // NSS writes BER
    site.tool("pk12util -o nss.p12 -n client1 -d sql:nss -w word").succeeds();
    let public = public_key(&site);
    let public = pem::parse(&public).expect("PEM");
    for file in ["modern.p12", "triple.p12", "sha512.p12", "gnutls.p12", "nss.p12"] {
        let bytes = fs::read(site.path(file)).expect("a file");
        let read = read_pkcs12(&bytes, &secret()).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!((read.key.spki(), read.certificates.len()), (public.contents(), 2), "{file}");
        let refused = read_pkcs12(&bytes, &Secret::from("incorrect-horse".to_owned())).err();
        assert!(matches!(refused, Some(Pkcs12Error::Locked(LockError::Wrong))), "{file}: {refused:?}");
    }
    // OpenSSL 1 wrote this, and 3 reads it with `-legacy` only
    site.tool(&format!("{export} rc2.p12 -legacy")).succeeds();
    let refused = read_pkcs12(&fs::read(site.path("rc2.p12")).expect("a file"), &secret()).err().expect("a refusal");
    assert!(refused.to_string().contains("RC2 with 40 bits"), "{refused}");
}

/// A profile with more lines before its first block.
fn with_lines(site: &Site, profile: &str, lines: &str) {
    let text = fs::read_to_string(site.path(profile)).expect("a profile");
    fs::write(site.path(profile), text.replacen("\n<ca>\n", &format!("\n{lines}\n<ca>\n"), 1)).expect("a profile");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn openvpn_connects_with_an_encrypted_key_and_its_passphrase_only() {
    for algorithm in ["p256", "rsa2048"] {
        let site = site(algorithm);
        let network = Network::new(1);
        let _server = site.server(&network, "server");
        for (word, connects) in [("word", true), ("wrong", false)] {
            site.run("export client1 --force --key-passphrase-file word").succeeds();
            with_lines(&site, "client1.ovpn", &format!("askpass {word}"));
            if connects {
                site.connects(&network, 0, "client1.ovpn");
                continue;
            }
            let mut refused = OpenVpn::start(&network.clients[0], &site.path("client1.ovpn"));
            refused.wait_for("Error: private key password verification failed", 0);
            assert!(!refused.is_up() && !network.clients[0].pings(INSIDE), "{}", refused.log());
        }
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn openvpn_connects_with_a_pkcs12() {
    for (algorithm, option) in [("p256", ""), ("rsa2048", "--p12-legacy")] {
        let site = site(algorithm);
        let network = Network::new(1);
        let _server = site.server(&network, "server");
        site.run(&format!("export client1 --format p12 -o client1/client1.p12 --key-passphrase-file word {option}"))
            .succeeds();
        let profile = site.path("client1/config.ovpn");
        let text = fs::read_to_string(&profile).expect("a profile");
        let others: Vec<&str> =
            text.lines().filter(|line| !["ca ", "cert ", "key "].iter().any(|word| line.starts_with(word))).collect();
        fs::write(&profile, format!("{}\npkcs12 client1.p12\naskpass ../word\n", others.join("\n")))
            .expect("a profile");
        for secret in ["ca.crt", "client1.crt", "client1.key"] {
            fs::remove_file(site.path("client1").join(secret)).expect("a file");
        }
        site.connects(&network, 0, "client1/config.ovpn");
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn openvpn_with_mbed_tls_connects_with_the_key_that_is_made_for_it_only() {
    for algorithm in ["p256", "rsa2048"] {
        let site = site(algorithm);
        let network = Network::new(1);
        let _server = site.server(&network, "server");
        let profile = site.path("client1/config.ovpn");
        let text = fs::read_to_string(&profile).expect("a profile");
        fs::write(&profile, format!("{text}\naskpass ../word\n")).expect("a profile");
        let file = site.path("client1/client1.key");
        let key = PrivateKey::from_pem(&fs::read(&file).expect("a key")).expect("a key");
        let write = |encryption| {
            let pem = key.to_encrypted_pem(&secret(), encryption).expect("an encrypted key");
            fs::write(&file, pem.expose()).expect("a key");
        };
        write(KeyEncryption::Aes256);
        let mut refused = OpenVpn::start_with_mbed_tls(&network.clients[0], &profile);
        refused.wait_for("PKCS5 - Requested encryption or digest alg not available", 0);
        assert!(!refused.is_up() && !network.clients[0].pings(INSIDE), "{}", refused.log());
        drop(refused);
        write(KeyEncryption::DesEde3);
        let (clear, locked) = (key.to_pem(), fs::read_to_string(&file).expect("a key"));
        let inline = fs::read_to_string(site.path("client1.ovpn")).expect("a profile");
        let inline = inline.replace(clear.expose_text().expect("PEM"), &locked);
        fs::write(site.path("client1.ovpn"), format!("{inline}\naskpass word\n")).expect("a profile");
        for profile in [profile, site.path("client1.ovpn")] {
            let mut client = OpenVpn::start_with_mbed_tls(&network.clients[0], &profile);
            client.wait_for("Initialization Sequence Completed", 0);
            assert!(client.log().contains("mbed TLS") && network.clients[0].pings(INSIDE), "{}", client.log());
        }
    }
}
