//! CRLs that come in parts, and the revoked by pages: the same as in one piece.

use super::*;

fn crl(number: u64, due: Time) -> SignedCrl {
    let der = (0..600_000_u32).map(|octet| (u64::from(octet) + number).to_le_bytes()[0]).collect();
    SignedCrl { issuer: 1, number, validity: month(), entries: number, due, der }
}

/// Lays a CRL down in parts of unequal lengths, the first one last.
fn lay_down(writing: &dyn Writing, crl: &SignedCrl) -> CrlFacts {
    writing.begin_crl(1, crl.number).unwrap();
    let (head, rest) = crl.der.split_at(100);
    for (part, der) in (1..).zip(rest.chunks(250_000)) {
        writing.put_crl_part(1, crl.number, part, der).unwrap();
    }
    writing.put_crl_part(1, crl.number, 0, head).unwrap();
    crl.into()
}

/// Parts of a CRL from one on, at most so many.
fn parts_of(view: &dyn View, number: u64, from: u32, most: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let visit = &mut |part: &[u8]| {
        found.push(part.to_vec());
        go_on(found.len() < most)
    };
    view.crl_parts(1, number, from, visit).unwrap();
    found
}

/// All that are revoked.
pub(super) fn revoked(view: &dyn View, issuer: u32, order: BySerial) -> Vec<Barred> {
    let mut found = Vec::new();
    let visit = &mut |barred| {
        found.push(barred);
        ControlFlow::Continue(())
    };
    view.revoked(issuer, order, visit).unwrap();
    found
}

fn go_on(yes: bool) -> ControlFlow<()> {
    if yes {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

fn last_entry(store: &dyn Store) -> Vec<(String, Option<Digest>)> {
    store.snapshot().unwrap().head().unwrap().unwrap().read().unwrap().changed
}

#[test]
fn in_parts_is_the_same_fact_as_in_one_piece() {
    let newest = crl(2, day(2));
    let rungs = vec![crl(3, day(9)), crl(4, day(16))];
    let whole = place();
    let mut writing = whole.store.begin(PATIENCE).unwrap();
    writing.record(&Change::Crl(newest.clone())).unwrap();
    writing.record(&Change::Ladder(1, rungs.clone())).unwrap();
    writing.commit(draft(1)).unwrap();

    let parts = place();
    let mut writing = parts.store.begin(PATIENCE).unwrap();
    let facts_of_newest = lay_down(&*writing, &newest);
    let facts_of_rungs: Vec<CrlFacts> = rungs.iter().map(|rung| lay_down(&*writing, rung)).collect();
    assert_eq!(writing.crl(1, day(2)).unwrap().unwrap().number, 1, "the one before stays until then");
    writing.record_crl(1, &facts_of_newest).unwrap();
    writing.record_ladder(1, &facts_of_rungs).unwrap();
    writing.commit(draft(1)).unwrap();

    assert_eq!(facts(&*whole.store), facts(&*parts.store));
    assert_eq!(last_entry(&*whole.store), last_entry(&*parts.store));
    let view = parts.store.snapshot().unwrap();
    assert_eq!(view.crl(1, day(9)).unwrap(), Some(rungs[0].clone()));
    assert_eq!(view.crl_entry(1, 2).unwrap(), Some(2));
    assert_eq!(view.crl_entry(1, 1).unwrap(), None);
    let all = parts_of(&*view, 2, 0, 9);
    assert!(all.len() == 4 && all[0] == newest.der[..100] && all.concat() == newest.der);
    assert!(parts_of(&*view, 2, 1, 9) == all[1..] && parts_of(&*view, 2, 1, 2) == all[1..3]);
    assert!(parts_of(&*view, 2, 4, 9).is_empty());
    assert!(parts_of(&*view, 1, 0, 9).is_empty(), "what was replaced is gone with its parts");
    drop(view);

    let mut writing = parts.store.begin(PATIENCE).unwrap();
    writing.record_ladder(1, &[]).unwrap();
    writing.commit(draft(2)).unwrap();
    assert_eq!(last_entry(&*parts.store), [("ladder/1".to_owned(), None)]);
    assert_eq!(parts.store.snapshot().unwrap().crls(1).unwrap().len(), 1);
}

#[test]
fn parts_without_their_crl_are_not_committed() {
    let place = place();
    let writing = place.store.begin(PATIENCE).unwrap();
    lay_down(&*writing, &crl(2, day(2)));
    assert!(writing.commit(draft(1)).is_err());
    assert!(parts_of(&*place.store.snapshot().unwrap(), 2, 0, 9).is_empty());
}

/// Parts of a row that somebody took out do not become parts of the next CRL with its number.
#[test]
fn what_lies_under_the_number_goes() {
    let place = place();
    alter(place.dir.path(), "DELETE FROM crl");
    let short = SignedCrl { der: vec![1; 10], ..crl(1, day(2)) };
    let mut writing = place.store.begin(PATIENCE).unwrap();
    writing.begin_crl(1, 1).unwrap();
    writing.put_crl_part(1, 1, 0, &short.der).unwrap();
    writing.record_crl(1, &CrlFacts::from(&short)).unwrap();
    writing.commit(draft(1)).unwrap();
    assert_eq!(place.store.snapshot().unwrap().crl(1, day(2)).unwrap(), Some(short));
}

#[test]
fn the_revoked_come_by_number_or_by_octets() {
    let place = place();
    let mut writing = place.store.begin(PATIENCE).unwrap();
    let mut expected = Vec::new();
    for octets in [&[7][..], &[0xff], &[1, 0], &[0x40; 16], &[0x41; 16], &[0x40; 15], &[9; 16], &[0x7f; 20], &[2, 0]] {
        let serial = Serial::from_octets(octets).unwrap();
        let revocation = Some(Revocation { at: day(3), reason: Reason::Superseded });
        let certificate = Certificate {
            serial,
            issuer: 1,
            holder: None,
            validity: month(),
            issued: day(1),
            revocation,
            overlap_ends: Some(day(4)),
        };
        expected.push(certificate.barred());
        writing.record(&Change::Certificate(certificate)).unwrap();
    }
    writing.record(&issued("client1", 5)[0]).unwrap();
    expected.sort_by_key(|barred| barred.serial);
    assert_eq!(revoked(&*writing, 1, BySerial::Number), expected);
    for most in 1..expected.len() {
        let mut found = Vec::new();
        let visit = &mut |barred| {
            found.push(barred);
            go_on(found.len() < most)
        };
        writing.revoked(1, BySerial::Number, visit).unwrap();
        assert_eq!(found, expected[..most], "told to stop after {most}");
    }
    expected.sort_by(|one, two| one.serial.octets().cmp(two.serial.octets()));
    assert_eq!(revoked(&*writing, 1, BySerial::Octets), expected);
    assert_eq!(revoked(&*writing, 2, BySerial::Number), []);
}
