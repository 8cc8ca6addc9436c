//! `dh generate` and `init --dh generate`: where the parameters go, and what stands when nothing comes of it.
//! That they are what `OpenSSL` and `OpenVPN` want is in `tests/peers`; that a prime is one, in `safe-prime`.

use std::os::unix::fs::PermissionsExt;

use crate::{common::Outcome, site::Site};

/// The prime of parameters whose generator is 2.
#[track_caller]
fn prime(pem: &str) -> Vec<u8> {
    let parsed = pem::parse(pem).expect("PEM");
    assert_eq!((parsed.tag(), pem), ("DH PARAMETERS", &*pem.replace('\r', "")));
    // SEQUENCE { INTEGER p with a zero before its first bit, INTEGER 2 }
    let der = parsed.contents();
    assert_eq!((&der[..2], &der[4..6], &der[der.len() - 3..]), (&[0x30, 0x82][..], &[0x02, 0x82][..], &[2, 1, 2][..]));
    let (zero, prime) = der[8..der.len() - 3].split_first().expect("an integer");
    assert_eq!((*zero, prime[0] >> 6), (0, 0b11));
    let modulo_24 = prime.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % 24);
    assert_eq!(modulo_24, 23);
    prime.to_owned()
}

#[test]
fn the_parameters_go_to_standard_output_and_the_talk_does_not() {
    let site = Site::empty();
    for line in ["dh generate", "dh generate -o -"] {
        let outcome = site.run(line).succeeds();
        assert_eq!(prime(&outcome.stdout).len(), 256);
        assert!(outcome.stderr.contains("2048 bits, found in ") && outcome.stderr.contains(" tested, "), "{outcome}");
    }
    let quiet = site.run("dh generate --quiet").succeeds();
    assert!(prime(&quiet.stdout).len() == 256 && !quiet.stderr.contains("found"), "{quiet}");
    assert!(site.state().is_empty());
}

#[test]
fn as_json_they_are_a_field_and_every_search_finds_others() {
    let site = Site::empty();
    let searched = || {
        let answer = site.json("dh generate --bits 2048");
        assert_eq!(
            (&answer["command"], &answer["bits"], &answer["changed"]),
            (&"dh generate".into(), &2048.into(), &false.into())
        );
        for field in ["cores", "tested"] {
            assert!(answer[field].as_u64().is_some_and(|number| number > 0), "{answer}");
        }
        assert!(answer["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{answer}");
        let arithmetic = answer["arithmetic"].as_str().expect("a name");
        assert!(["AVX-512 IFMA", "AVX2", "SSE2", "portable"].contains(&arithmetic), "{answer}");
        // a processor without the fastest is told of
        let slow = arithmetic != "AVX-512 IFMA";
        assert_eq!(answer["warnings"].as_array().map(Vec::len), Some(usize::from(slow)), "{answer}");
        prime(answer["pem"].as_str().expect("parameters"))
    };
    assert_ne!(searched(), searched());
}

#[test]
fn a_file_is_public_and_is_replaced_only_when_that_is_said() {
    let site = Site::empty();
    site.run("dh generate -o dh.pem").succeeds().says("wrote dh.pem: 2048 bits, found in ");
    let first = prime(&site.text("dh.pem"));
    let mode = site.path("dh.pem").metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    site.refuses("dh generate -o dh.pem", 1, "`./dh.pem` exists and was not overwritten").says("`--force` replaces it");
    let answer = site.json("dh generate -o dh.pem --force");
    assert_eq!((&answer["changed"], &answer["file"]), (&true.into(), &"dh.pem".into()));
    assert!(answer.get("pem").is_none(), "{answer}");
    assert_ne!(prime(&site.text("dh.pem")), first);
}

#[test]
fn what_makes_no_sense_is_refused_before_the_search() {
    let site = Site::empty();
    site.refuses("dh generate --bits 1024", 2, "a prime has 2048, 3072 or 4096 bits");
    site.refuses("dh generate -o - --json", 2, "both want standard output");
    site.refuses("dh generate --force", 2, "--out");
    site.refuses("dh generate --bits 4096 -o nowhere/dh.pem", 1, "nowhere");
    site.refuses("init --remote a.example --no-passphrase --dh generate:1024", 2, "generate[:2048|3072|4096]");
}

#[test]
fn a_new_authority_can_have_parameters_of_its_own() {
    let site = Site::empty();
    let made = site.json("init --remote vpn.example.com --no-passphrase --dh generate");
    assert_eq!((&made["dh"], &made["dh_search"]["bits"]), (&"generate:2048".into(), &2048.into()), "{made}");
    let pem = site.text("server/dh.pem");
    assert_eq!(prime(&pem).len(), 256);
    assert!(site.text("server/server.conf").contains("\ndh dh.pem\n"));
    // they stay those of the authority
    site.run("export server -o again").succeeds();
    assert_eq!(site.text("again/dh.pem"), pem);
    let other = Site::made("--dh generate:2048");
    assert_ne!(prime(&other.text("server/dh.pem")), prime(&pem));
}

#[test]
fn what_refuses_an_authority_does_so_before_its_parameters_are_searched_for() {
    let site = Site::empty();
    let init = "init --remote vpn.example.com --no-passphrase --issue client1 --dh generate:4096";
    site.write("client1.ovpn", "in the way");
    // a search of 4096 bits would be told of, and take longer than the rest of these tests
    site.refuses(init, 1, "`./client1.ovpn` exists");
    site.refuses(&format!("{init} --issue server-1"), 1, "server-1");
    let rehearsed: Outcome = site.run(&format!("{init} --no-export --dry-run")).succeeds();
    rehearsed.says("would make an authority").says("DH      generate:4096");
    assert_eq!(site.state().len(), 1);
}
