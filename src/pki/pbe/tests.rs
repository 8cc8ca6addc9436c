use super::*;
use proptest::prelude::*;

const SCHEMES: [Scheme; 3] = [Scheme::Aes256, Scheme::DesEde3, Scheme::Pkcs12DesEde3];

fn lock(scheme: Scheme) -> Lock {
    Lock { scheme, rounds: NonZeroU32::new(3).unwrap() }
}

fn opened(algorithm: &AlgorithmIdentifierOwned, passphrase: &[u8], sealed: &[u8]) -> Result<Vec<u8>, LockError> {
    open(algorithm, passphrase, sealed, &mut Budget::of_a_file()).map(|clear| clear.to_vec())
}

#[test]
fn what_is_sealed_opens_with_the_passphrase_and_is_never_the_same_twice() {
    for scheme in SCHEMES {
        for length in [0, 1, 15, 16, 17, 1000] {
            let clear = vec![7; length];
            let (algorithm, sealed) = seal(lock(scheme), b"secret", &clear).unwrap();
            assert_eq!(opened(&algorithm, b"secret", &sealed), Ok(clear.clone()));
            assert_ne!(seal(lock(scheme), b"secret", &clear).unwrap().1, sealed);
        }
    }
}

#[test]
fn the_key_derivation_gives_the_bytes_of_the_published_vectors() {
    // the vectors of the Bouncy Castle and Go tests for RFC 7292, B.2: "smeg" and "queeg"
    let sha1 = &digest::SHA1_FOR_LEGACY_USE_ONLY;
    let derived = |purpose, passphrase: &str, salt: &[u8], rounds, length| {
        let mut out = vec![0; length];
        let rounds = NonZeroU32::new(rounds).unwrap();
        derive_pkcs12(sha1, purpose, passphrase.as_bytes(), salt, rounds, &mut out).unwrap();
        out.iter().map(|octet| format!("{octet:02x}")).collect::<String>()
    };
    let salt = [0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f];
    assert_eq!(derived(Purpose::Key, "smeg", &salt, 1, 24), "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3");
    assert_eq!(derived(Purpose::Iv, "smeg", &salt, 1, 8), "79993dfe048d3b76");
    let salt = [0x05, 0xde, 0xc9, 0x59, 0xac, 0xff, 0x72, 0xf7];
    assert_eq!(derived(Purpose::Key, "queeg", &salt, 1000, 24), "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4");
    assert_eq!(derived(Purpose::Iv, "queeg", &salt, 1000, 8), "11dedad7758d4860");
}

#[test]
fn what_would_take_hours_is_refused_before_it_begins() {
    let (algorithm, sealed) = seal(lock(Scheme::Aes256), b"secret", b"clear").unwrap();
    let mut budget = Budget::of_a_file();
    assert_eq!(budget.spend(0), Err(LockError::Damaged));
    assert_eq!(budget.spend(u32::MAX), Err(LockError::TooMuchWork));
    for _ in 0..10 {
        assert!(budget.spend(1_000_000).is_ok());
    }
    let refused = open(&algorithm, b"secret", &sealed, &mut budget).map(|clear| clear.to_vec());
    assert_eq!(refused, Err(LockError::TooMuchWork), "what several parts cost counts together");
    for (cost, block, parallel) in [(1 << 20, 8, 1), (1 << 14, 8, 17), (u64::MAX, 8, 1), (2, u32::MAX, 1)] {
        let refused = scrypt_parameters(cost, block, parallel, &mut Budget::of_a_file()).err();
        assert_eq!(refused, Some(LockError::TooMuchWork), "{cost} {block} {parallel}");
    }
    assert!(scrypt_parameters(1 << 14, 8, 1, &mut Budget::of_a_file()).is_ok());
    for (cost, block, parallel) in [(0, 8, 1), (3, 8, 1), (4, 0, 1), (4, 8, 0)] {
        let refused = scrypt_parameters(cost, block, parallel, &mut Budget::of_a_file()).err();
        assert_eq!(refused, Some(LockError::Damaged), "{cost} {block} {parallel}");
    }
}

#[test]
fn other_schemes_are_named() {
    let (mut algorithm, sealed) = seal(lock(Scheme::Aes256), b"secret", b"clear").unwrap();
    algorithm.oid = PKCS12_RC2_40_CBC;
    let refused = opened(&algorithm, b"secret", &sealed).unwrap_err().to_string();
    assert_eq!(refused, "it is encrypted by RC2 with 40 bits, which is not read here");
    algorithm.oid = ObjectIdentifier::new_unwrap("1.2.3.4");
    assert!(opened(&algorithm, b"secret", &sealed).unwrap_err().to_string().contains("by 1.2.3.4,"));
}

#[test]
fn an_initialisation_vector_of_another_length_is_refused() {
    for length in [0, 7, 9, 15, 17] {
        let algorithm = pbes2(DES_EDE3_CBC, &[0; 8], NonZeroU32::MIN, &vec![0; length]).unwrap();
        assert_eq!(opened(&algorithm, b"secret", &[0; 16]), Err(LockError::Damaged), "{length}");
    }
}

proptest! {
    #[test]
    fn no_parameters_panic(place in 0_usize..200, octet: u8, sealed in prop::collection::vec(any::<u8>(), 0..40)) {
        for scheme in SCHEMES {
            let (algorithm, _) = seal(lock(scheme), b"secret", b"clear").unwrap();
            let mut der = algorithm.to_der().unwrap();
            let length = der.len();
            der[place % length] = octet;
            if let Ok(algorithm) = AlgorithmIdentifierOwned::from_der(&der) {
                // few rounds, so that what is damaged into many costs the test no time
                let _ = open(&algorithm, b"secret", &sealed, &mut Budget(1000));
            }
        }
    }
}
