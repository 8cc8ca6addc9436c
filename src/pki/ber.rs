//! BER made DER, as far as writers of PKCS#12 use what DER forbids (RFC 7292, 4 has BER): lengths that are marked by an end
//! or written at length, and octet strings in pieces. NSS writes it, and others that write while they encrypt.
//! Knows no structure; sets keep their order.

use zeroize::Zeroizing;

/// The one element that the bytes are, with stated lengths and whole strings; none when they are no BER.
pub(super) fn to_der(ber: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (der, rest) = element(ber, DEEPEST)?;
    rest.is_empty().then_some(der)
}

/// The first element in DER, and what follows it.
fn element(ber: &[u8], deeper: usize) -> Option<(Zeroizing<Vec<u8>>, &[u8])> {
    let (&tag, rest) = ber.split_first()?;
    if tag & HIGH_NUMBER == HIGH_NUMBER {
        return None;
    }
    let (length, rest) = length(rest)?;
    let (content, after) = match length {
        Some(length) => rest.split_at_checked(length)?,
        None => (rest, rest),
    };
    if tag & CONSTRUCTED == 0 {
        // an end is marked only of what is constructed
        length?;
        return Some((written(tag, content), after));
    }
    let (inside, left) = children(content, tag, length.is_none(), deeper.checked_sub(1)?)?;
    let tag = if tag == OCTETS | CONSTRUCTED { OCTETS } else { tag };
    Some((written(tag, &inside), if length.is_none() { left } else { after }))
}

/// What is inside an element in DER, and what follows the mark of its end.
fn children(mut ber: &[u8], tag: u8, marked: bool, deeper: usize) -> Option<(Zeroizing<Vec<u8>>, &[u8])> {
    // never grows: only an element of 64 KiB or more can become longer than it was, by one octet
    let mut inside = Zeroizing::new(Vec::with_capacity(ber.len() + 1024));
    loop {
        match ber.strip_prefix(&[0, 0]) {
            Some(rest) if marked => return Some((inside, rest)),
            _ if ber.is_empty() => return (!marked).then_some((inside, ber)),
            _ => {}
        }
        let (child, rest) = element(ber, deeper)?;
        let piece = if tag == OCTETS | CONSTRUCTED { contents(&child, OCTETS)? } else { &child };
        inside.extend_from_slice(piece);
        ber = rest;
    }
}

/// The contents of an element in DER that has this tag.
fn contents(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (&found, rest) = der.split_first()?;
    let (_, content) = length(rest)?;
    (found == tag).then_some(content)
}

/// A stated length, or none where an end is marked, and what follows it.
fn length(ber: &[u8]) -> Option<(Option<usize>, &[u8])> {
    let (&first, rest) = ber.split_first()?;
    match first {
        0..=0x7f => Some((Some(first.into()), rest)),
        0x80 => Some((None, rest)),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            Some((Some(octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet))), rest))
        }
        _ => None,
    }
}

fn written(tag: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut der = Zeroizing::new(Vec::with_capacity(content.len() + 10));
    der.push(tag);
    let octets = content.len().to_be_bytes();
    let octets = &octets[octets.iter().take_while(|&&octet| octet == 0).count()..];
    match octets {
        [] => der.push(0),
        [short @ 0..=0x7f] => der.push(*short),
        long => {
            der.push(0x80 | u8::try_from(long.len()).unwrap_or(0x7f));
            der.extend_from_slice(long);
        }
    }
    der.extend_from_slice(content);
    der
}

const OCTETS: u8 = 0x04;
const CONSTRUCTED: u8 = 0x20;
const HIGH_NUMBER: u8 = 0x1f;
/// More than the levels of any PKCS#12.
const DEEPEST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(ber: &[u8]) -> Option<Vec<u8>> {
        to_der(ber).map(|der| der.to_vec())
    }

    #[test]
    fn ends_become_lengths_and_pieces_become_one() {
        assert_eq!(made(&[0x30, 0x80, 2, 1, 7, 0, 0]), Some(vec![0x30, 3, 2, 1, 7]));
        assert_eq!(made(&[0x30, 0x84, 0, 0, 0, 3, 2, 0x81, 1]), None);
        assert_eq!(made(&[0x30, 0x84, 0, 0, 0, 4, 2, 0x81, 1, 7]), Some(vec![0x30, 3, 2, 1, 7]));
        assert_eq!(made(&[0x24, 0x80, 4, 1, 7, 0x24, 3, 4, 1, 8, 0, 0]), Some(vec![4, 2, 7, 8]));
        let nested = [0xa0, 0x80, 0x30, 0x80, 0, 0, 0x24, 0x80, 4, 0, 0, 0, 0, 0];
        assert_eq!(made(&nested), Some(vec![0xa0, 4, 0x30, 0, 4, 0]));
    }

    #[test]
    fn what_is_no_ber_is_none() {
        for bad in
            [&[][..], &[4], &[4, 1], &[4, 0x80, 0, 0], &[0x30, 0x80], &[0x30, 0x80, 0], &[0x24, 2, 2, 0], &[4, 0, 0]]
        {
            assert_eq!(made(bad), None, "{bad:?}");
        }
        assert_eq!(made(&[0x1f, 0x81, 0]), None);
        assert_eq!(made(&[0x30, 0x80].repeat(100)), None);
        assert_eq!(made(&[4, 0x85, 0, 0, 0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn der_stays_as_it_is(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4)) {
            let inside: Vec<u8> = contents.iter().flat_map(|content| written(OCTETS, content).to_vec()).collect();
            let der = written(0x30, &inside).to_vec();
            prop_assert_eq!(made(&der), Some(der));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(der) = made(&bytes) {
                prop_assert_eq!(made(&der), Some(der.clone()), "DER is DER");
            }
        }
    }
}
