//! The outline of DER: each tag, length and primitive value in its one allowed form.
//! Knows nothing of certificates, except that in ours no SEQUENCE is empty and no FALSE is written.

/// Says what in `der` is not in its one allowed form. Readers let much of this pass: lengths in more octets than
/// needed, FALSE written although it is the default, an empty list instead of none, a SEQUENCE without its
/// constructed bit, spare bits behind a signature.
pub(super) fn check(der: &[u8]) -> Result<(), &'static str> {
    let (tag, contents, rest) = element(der)?;
    value(tag, contents)?;
    if !rest.is_empty() {
        return Err("something follows its end");
    }
    walk(contents, DEEPEST)
}

fn walk(mut rest: &[u8], depth: u8) -> Result<(), &'static str> {
    while !rest.is_empty() {
        let (tag, contents, after) = element(rest)?;
        value(tag, contents)?;
        if tag & CONSTRUCTED != 0 {
            walk(contents, depth.checked_sub(1).ok_or("it is nested too deep")?)?;
        }
        rest = after;
    }
    Ok(())
}

fn value(tag: u8, contents: &[u8]) -> Result<(), &'static str> {
    let fine = match (tag, contents) {
        (BOOLEAN, _) => contents == [0xff],
        (INTEGER, [0, second, ..]) => *second >= 0x80,
        // keys and signatures are whole octets
        (BIT_STRING, _) => contents.first() == Some(&0),
        (NULL, _) => contents.is_empty(),
        (UTC_TIME, _) => moment(contents, 12),
        (GENERALIZED_TIME, _) => moment(contents, 14),
        (INTEGER | SEQUENCE | SET, _) => !contents.is_empty(),
        // no other universal type is constructed; beside those, only context-specific tags have a place here
        _ => matches!(tag & CLASS, UNIVERSAL | CONTEXT) && !matches!(tag, 0x10 | 0x11 | 0x20..=0x3f),
    };
    fine.then_some(()).ok_or(match tag {
        BOOLEAN => "a BOOLEAN is not TRUE",
        INTEGER => "an INTEGER is padded or empty",
        UTC_TIME | GENERALIZED_TIME => "a time is not in whole seconds of UTC",
        SEQUENCE | SET => "a SEQUENCE or SET is empty",
        _ => "a primitive value is malformed",
    })
}

fn moment(contents: &[u8], digits: usize) -> bool {
    matches!(contents.split_last(), Some((b'Z', rest)) if rest.len() == digits && rest.iter().all(u8::is_ascii_digit))
}

/// The first element: its tag, its contents and what follows it (X.690, 10.1: the length in the fewest octets).
fn element(der: &[u8]) -> Result<(u8, &[u8], &[u8]), &'static str> {
    let [tag, first, rest @ ..] = der else { return Err(CUT) };
    if tag & 0x1f == 0x1f {
        return Err("a tag has more than one octet");
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => long_length(rest.split_at_checked(usize::from(first & 0x7f)).ok_or(CUT)?)?,
        _ => return Err("a length is indefinite or enormous"),
    };
    let (contents, after) = rest.split_at_checked(length).ok_or(CUT)?;
    Ok((*tag, contents, after))
}

fn long_length<'a>((octets, rest): (&[u8], &'a [u8])) -> Result<(usize, &'a [u8]), &'static str> {
    let length = octets.iter().fold(0, |length: usize, &octet| length << 8 | usize::from(octet));
    if octets[0] == 0 || length < 0x80 {
        return Err("a length has more octets than it needs");
    }
    Ok((length, rest))
}

const CLASS: u8 = 0xc0;
const UNIVERSAL: u8 = 0;
const CONTEXT: u8 = 0x80;
const CONSTRUCTED: u8 = 0x20;
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const NULL: u8 = 0x05;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CUT: &str = "it is cut off";
const DEEPEST: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_form_each() {
        for (der, fault) in [
            (&[0x30, 3, 1, 1, 0xff][..], Ok(())),
            (&[0x30, 3, 1, 1, 0], Err("a BOOLEAN is not TRUE")),
            (&[0x30, 3, 1, 1, 1], Err("a BOOLEAN is not TRUE")),
            (&[0x30, 4, 2, 2, 0, 0x80], Ok(())),
            (&[0x30, 4, 2, 2, 0, 0x7f], Err("an INTEGER is padded or empty")),
            (&[0x30, 2, 0x30, 0], Err("a SEQUENCE or SET is empty")),
            (&[0x10, 3, 1, 1, 0xff], Err("a primitive value is malformed")),
            (&[0x30, 4, 0x24, 2, 4, 0], Err("a primitive value is malformed")),
            (&[0x30, 4, 3, 2, 1, 0xfe], Err("a primitive value is malformed")),
            (&[0x30, 0x81, 3, 1, 1, 0xff], Err("a length has more octets than it needs")),
            (&[0x30, 0x80, 0, 0], Err("a length is indefinite or enormous")),
            (&[0x30, 3, 1, 1], Err(CUT)),
            (&[0x30, 3, 1, 1, 0xff, 0], Err("something follows its end")),
            (&[0x30, 2, 0x1f, 0], Err("a tag has more than one octet")),
            (b"\x30\x0f\x17\x0d260101000000Z", Ok(())),
            (b"\x30\x0d\x17\x0b2601010000Z", Err("a time is not in whole seconds of UTC")),
            (b"\x30\x13\x18\x1120500101000000.5Z", Err("a time is not in whole seconds of UTC")),
        ] {
            assert_eq!(check(der), fault, "{der:02x?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = (0..40).fold(vec![5, 0], |inner, length| [vec![0x30, 2 + 2 * length], inner].concat());
        assert_eq!(check(&deep), Err("it is nested too deep"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}
