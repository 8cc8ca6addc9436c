use super::*;
use proptest::prelude::*;

fn server() -> ServerKey {
    ServerKey::from_random(std::array::from_fn(|index| u8::try_from(index).unwrap()))
}

fn client(seed: u8) -> ClientKey {
    ClientKey::wrap(&server(), [seed; CLIENT_LENGTH], Time::from_unix(1_700_000_000))
}

fn bytes(key: &ClientKey) -> Vec<u8> {
    [key.key.expose(), &key.wrapped].concat()
}

#[test]
fn the_server_key_is_openvpns_own_file() {
    let pem = server().to_pem();
    assert_eq!(pem.expose_text(), Some(THEIR_SERVER));
    assert_eq!(ServerKey::parse(THEIR_SERVER.as_bytes()).unwrap().0.expose(), server().0.expose());
}

#[test]
fn a_client_key_that_openvpn_made_opens_and_would_be_made_alike_here() {
    let theirs = ClientKey::parse(THEIR_CLIENT.as_bytes()).unwrap();
    let Metadata::Made(made) = theirs.unwrap(&server()).unwrap() else { panic!("no time in it") };
    assert!(made > Time::parse("2026-01-01").unwrap(), "{}", made.date());
    let again = ClientKey::wrap(&server(), theirs.key.expose().try_into().unwrap(), made);
    assert_eq!(again.to_pem().expose_text(), Some(THEIR_CLIENT));
}

#[test]
fn what_a_user_wrote_is_read_back() {
    let theirs = ClientKey::parse(THEIR_CLIENT_WITH_HELLO.as_bytes()).unwrap();
    assert_eq!(theirs.unwrap(&server()), Ok(Metadata::User(b"hello".to_vec())));
}

#[test]
fn another_servers_key_opens_nothing() {
    let other = ServerKey::from_random([9; SERVER_LENGTH]);
    assert_eq!(client(1).unwrap(&other), Err(TlsCryptV2Error::Foreign));
    assert_eq!(client(1).unwrap(&server()), Ok(Metadata::Made(Time::from_unix(1_700_000_000))));
}

#[test]
fn no_bit_can_be_changed() {
    let good = bytes(&client(1));
    assert_eq!(good.len(), 555, "as OpenVPN's");
    for place in (0..good.len()).step_by(7).chain([good.len() - 2, good.len() - 1]) {
        let mut bad = good.clone();
        bad[place] ^= 1;
        let error = ClientKey::parse(armour(CLIENT, &bad).expose()).unwrap().unwrap(&server()).unwrap_err();
        let expected = if place < CLIENT_LENGTH { TlsCryptV2Error::Twofold } else { TlsCryptV2Error::Foreign };
        assert_eq!(error, expected, "{place}");
    }
}

#[test]
fn what_is_no_key_says_why() {
    let client_error = |file: &[u8]| ClientKey::parse(file).err().unwrap().to_string();
    assert!(client_error(b"hello").contains("there is no `-----BEGIN OpenVPN tls-crypt-v2 client key-----`"));
    assert!(client_error(server().to_pem().expose()).contains("client key-----` block in it"));
    assert!(client_error(armour(CLIENT, &[1; 545]).expose()).contains("546 to 1280 bytes, this one has 545"));
    assert!(client_error(armour(CLIENT, &[1; 1281]).expose()).contains("this one has 1281"));
    assert!(client_error(THEIR_CLIENT.replace("-----END", "-----AND").as_bytes()).contains("damaged"));
    assert!(client_error(THEIR_CLIENT.replace('Q', "!").as_bytes()).contains("damaged"));
    let server_error = |file: &[u8]| ServerKey::parse(file).err().unwrap().to_string();
    assert!(server_error(armour(SERVER, &[1; 127]).expose()).contains("128 bytes, this one has 127"));
    assert!(server_error(THEIR_CLIENT.as_bytes()).contains("server key-----` block in it"));
}

#[test]
fn text_around_it_and_carriage_returns_are_passed_over() {
    let file = format!("# of laptop-7\r\n{}\r\nend", THEIR_CLIENT.replace('\n', "\r\n"));
    assert!(ClientKey::parse(file.as_bytes()).unwrap().unwrap(&server()).is_ok());
}

proptest! {
    #[test]
    fn what_is_wrapped_unwraps(seed: u8, key: [u8; 32], seconds: i64) {
        let server = ServerKey::from_random(std::array::from_fn(|index| key[index % 32] ^ key[index / 4]));
        let made = ClientKey::wrap(&server, [seed; CLIENT_LENGTH], Time::from_unix(seconds));
        let read = ClientKey::parse(made.to_pem().expose()).unwrap();
        prop_assert_eq!(read.unwrap(&server), Ok(Metadata::Made(Time::from_unix(seconds))));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, inside in prop::collection::vec(any::<u8>(), 1..1400)) {
        let _ = (ClientKey::parse(&bytes).is_ok(), ServerKey::parse(&bytes).is_ok());
        if let Ok(key) = ClientKey::parse(armour(CLIENT, &inside).expose()) {
            prop_assert!(key.unwrap(&server()).is_err());
        }
    }
}

// made by OpenVPN 2.6.14 for a server key of the bytes 0 to 127

const THEIR_SERVER: &str = "\
-----BEGIN OpenVPN tls-crypt-v2 server key-----
AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v
MDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5f
YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8=
-----END OpenVPN tls-crypt-v2 server key-----
";

const THEIR_CLIENT: &str = "\
-----BEGIN OpenVPN tls-crypt-v2 client key-----
0EBgebMgj+6no1iBoPS+Dl1EiQoFOpH+VWxUBf5WcpClJSmct76ZebAO+r7JEOAY
WdITpd4dATF+s0NhJRTk9BULcRQmLmwbX2DWv3htrZfFSoLClaCDIRw1CvavNnFb
fBaYOWZxnISrdXVGrkQHCklW/nDRGbWYU8a7XzeLjv3B2a+AjDUJPFu/o0vHxcAB
KtjaTINMHvHqUPEfXzW1xu1PPpytZpkJD+oNYkIDxAbGj7Toz3nwA9m1Aq4SC7xq
i0wVoxO5u2kpvKnQxs13zER9SFOh2JnBwSjfY/CxEvD+/HgPRxmZGWgm4X/DnLRy
8MY/QREmUVVqmRy08LJTc/0MdxulBZf0u6y1UGv7ol61UlfFClMeQrY/bbsazq4l
Lb3OEjp1I6PzrFf9HrPBrt84cJZF7e0kXr45G4F7maO/MdFF4Vt7mhBXhGoVJKPd
fV/zOXsSdWBuH4/ibtwFYD755R9ono3Xgarr0hcdbi5PBZzq906NyE+id9nzpDTW
9zHXyHWUdFodDutK3c391yPMg4cZU3mo5RBgk7oQL+5PBzIBCz57NiMOS0j/FbkM
o371jMdje4aTEgnQiyiy3sp8jvm+qDon5yzMiJ4zKh2EBJQiERO2Q9jBeLDrHLgY
sBPiqKNdXy6phP2IlfUkSS7oYMcVX30kxkJ1bnUw86qg10ox4sX1wcu6nEtedqGO
45gzZX31ONvQPp9ewhKQVa4qLACViDWgPQEr
-----END OpenVPN tls-crypt-v2 client key-----
";

const THEIR_CLIENT_WITH_HELLO: &str = "\
-----BEGIN OpenVPN tls-crypt-v2 client key-----
VMBgZOecjYmwu8CL2N2X0CAXdYsvD/Hktpm5vzfPckvguNwCLY9rOP2VL40nNAiR
UerbSr0gu+WpMuIBgZM1JQBsSh+Gf3TN+KOIkVDmxrAmFfuwQWRb0RjU79U1xrk1
H/TVQ5xtxz3lXrYr2VzULIQHXkG2MPOlvvs+d+ELlhICG0CLOD2B6WP8/ZezILvI
ZUQN02Kk29pQ6Ueowfsjv2fZGFobKod34SSmCl1nhmffyPKDEQXEOGqHJU2RV458
XaEyoNVorU4zEX27+aNMATCr5+yIy/qzXCAn8ufQmeFXyzIoH0Axf2fkc5XstbhS
nEfDBAao1LJfCMnnf3MENuQUt/LEduLmbUKFrooqrubcRBM/vPtCvsXksBMbBxKe
I9ErjF/mjFhtEPVDcRm55Syd1pXh5DbzC6aitR9yeJnyvfsDB9yNVnvWK6oilFs2
3UKgj1idR0bOKFLGDkB7F1DbDHhJ4/vtDMbe+Ux7hflch4LlmH+TfRVnhI1gmesZ
UB1pAAla28DM8qwHkI8B2S5OXRnEwAp7Lpi6qCRdpFdSuEirbf2aRDeaEuW91K9o
IfAQbyPjMeNPYNo/0DfyFmu8Y7CBzUZiub7fUTNt7fulSKEoCtNJOgd5FuciQLWj
Q7ZIG/rDny/VENdTcABFLZ+hwOkvo97AW6gZQjiY7UNqdmvtgHkEn2fEXU/gmvxp
qnEr9goBvTJ+ImjhN94h22CsfNn1ngEo
-----END OpenVPN tls-crypt-v2 client key-----
";
