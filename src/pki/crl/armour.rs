//! Revocation lists as PEM (RFC 7468), put on and taken off while they are read: 64 columns and LF, as we write them.
//! Takes no other armour; whoever meets one reads the text whole.

use std::io::{self, Read};

use base64::{prelude::BASE64_STANDARD, Engine};

/// The text of a list whose DER is read, the same as `crl_pem` gives.
pub struct Armoured<R> {
    der: R,
    text: Vec<u8>,
    at: usize,
    state: State,
    /// The base64 of some lines in one.
    digits: Vec<u8>,
}

/// The DER of a list whose text is read.
pub struct Unarmoured<R> {
    text: R,
    /// Lines that were read and not decoded yet.
    lines: Vec<u8>,
    der: Vec<u8>,
    at: usize,
    state: State,
    /// The base64 of some lines in one.
    digits: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Inside,
    /// After a line that must be the last.
    Last,
    End,
}

impl<R: Read> Armoured<R> {
    /// Reads the DER as the text is read.
    pub fn new(der: R) -> Self {
        Self { der, text: Vec::new(), at: 0, state: State::Begin, digits: vec![0; LINE * LINES] }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.at = 0;
        if self.state == State::Begin {
            self.text.extend_from_slice(BEGIN);
            self.state = State::Inside;
        }
        let mut der = Vec::with_capacity(LINE_DER * LINES);
        (&mut self.der).take((LINE_DER * LINES) as u64).read_to_end(&mut der)?;
        // full lines are no matter of padding, so all are encoded as one
        let written = BASE64_STANDARD.encode_slice(&der, &mut self.digits).map_err(|_| fault())?;
        for line in self.digits[..written].chunks(LINE) {
            self.text.extend_from_slice(line);
            self.text.push(b'\n');
        }
        if der.len() < LINE_DER * LINES {
            self.text.extend_from_slice(END);
            self.state = State::End;
        }
        Ok(())
    }
}

impl<R: Read> Read for Armoured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.text.len() && self.state != State::End {
            self.fill()?;
        }
        let many = (&self.text[self.at..]).read(buffer)?;
        self.at += many;
        Ok(many)
    }
}

impl<R: Read> Unarmoured<R> {
    /// Reads the text as the DER is read.
    pub fn new(text: R) -> Self {
        Self { text, lines: Vec::new(), der: Vec::new(), at: 0, state: State::Begin, digits: Vec::new() }
    }

    /// Decodes the next lines; an error where the text is not as we write it.
    fn fill(&mut self) -> io::Result<()> {
        self.der.clear();
        self.at = 0;
        let wanted = (LINE + 1) * LINES;
        (&mut self.text).take((wanted - self.lines.len()) as u64).read_to_end(&mut self.lines)?;
        let ended = self.lines.len() < wanted;
        let mut rest = &self.lines[..];
        if self.state == State::Begin {
            rest = rest.strip_prefix(BEGIN).ok_or_else(fault)?;
            self.state = State::Inside;
        }
        self.digits.clear();
        while let Some((line, after)) = whole_line(rest).filter(|_| self.state == State::Inside) {
            self.digits.extend_from_slice(line);
            rest = after;
        }
        if !self.digits.is_empty() {
            self.state = decode(&self.digits, &mut self.der)?;
        }
        if ended {
            if let Some(end) = rest.iter().position(|octet| *octet == b'\n').filter(|_| !rest.starts_with(b"-")) {
                // the last line may be short, but there is one last line only
                (self.state == State::Inside && end < LINE).then_some(()).ok_or_else(fault)?;
                decode(&rest[..end], &mut self.der)?;
                rest = &rest[end + 1..];
            }
            self.state = State::End;
            return if rest == END { Ok(()) } else { Err(fault()) };
        }
        // no more than the last line and what ends the text can be left for the next time
        let left = rest.len();
        if left > LINE + 1 + END.len() {
            return Err(fault());
        }
        self.lines.drain(..self.lines.len() - left);
        Ok(())
    }
}

/// A line of full width, and what follows it.
fn whole_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = text.split_at_checked(LINE)?;
    Some((line, rest.strip_prefix(b"\n")?)).filter(|_| !line.starts_with(b"-"))
}

/// Whether more lines may follow these: one that is not full, by its length or its padding, is the last. Padding before the
/// last is refused by the decoder.
fn decode(digits: &[u8], der: &mut Vec<u8>) -> io::Result<State> {
    let start = der.len();
    der.resize(start + digits.len().div_ceil(4) * 3, 0);
    let many = BASE64_STANDARD.decode_slice(digits, &mut der[start..]).map_err(|_| fault())?;
    der.truncate(start + many);
    match many {
        0 => Err(fault()),
        _ if many.is_multiple_of(LINE_DER) => Ok(State::Inside),
        _ => Ok(State::Last),
    }
}

impl<R: Read> Read for Unarmoured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.der.len() && self.state != State::End {
            self.fill()?;
        }
        let many = (&self.der[self.at..]).read(buffer)?;
        self.at += many;
        Ok(many)
    }
}

fn fault() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its armour is not as it is written here")
}

const BEGIN: &[u8] = b"-----BEGIN X509 CRL-----\n";
const END: &[u8] = b"-----END X509 CRL-----\n";
const LINE: usize = 64;
const LINE_DER: usize = 48;
/// How many lines are read at once.
const LINES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{crl_pem, pem};
    use proptest::prelude::*;

    fn armoured(der: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        Armoured::new(der).read_to_end(&mut text).unwrap();
        text
    }

    fn unarmoured(text: &[u8]) -> io::Result<Vec<u8>> {
        let mut der = Vec::new();
        Unarmoured::new(text).read_to_end(&mut der).map(|_| der)
    }

    /// Around one line, and around what is read at once.
    #[test]
    fn every_length_is_armoured_as_in_one_piece_and_comes_back() {
        let once = LINE_DER * LINES;
        let in_text = ((LINE + 1) * LINES - BEGIN.len()) / (LINE + 1) * LINE_DER;
        let lengths =
            (1..200).chain(once - 50..once + 50).chain(in_text - 50..in_text + 50).chain([2 * once, 3 * once + 7]);
        for length in lengths {
            let der: Vec<u8> = (0..length).map(|octet| octet.to_le_bytes()[0]).collect();
            let text = armoured(&der);
            assert!(text == crl_pem(&der).as_bytes(), "{length}");
            assert!(unarmoured(&text).unwrap() == der, "{length}");
        }
    }

    #[test]
    fn another_armour_is_not_taken() {
        let text = crl_pem(&[7; 200]);
        for other in [
            text.replace('\n', "\r\n"),
            format!("before\n{text}"),
            format!("{text}after\n"),
            format!("{text}{text}"),
            text.trim_end().to_owned(),
            text.replace("X509 CRL", "CERTIFICATE"),
            text.replacen("Bwc", "Bw=", 1),
            text.replacen("Bwc", "Bw", 1),
            text.replace("BwcHBwcH\n", ""),
            String::from_utf8(BEGIN.to_vec()).unwrap(),
            String::new(),
        ] {
            assert!(other == text || unarmoured(other.as_bytes()).is_err(), "{other}");
        }
    }

    proptest! {
        /// What is taken here is what the reader of everything takes.
        #[test]
        fn no_change_passes_as_something_else(length in 1_usize..300, at in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut text = crl_pem(&vec![0x5a; length]).into_bytes();
            let at = at.index(text.len());
            text[at] = octet;
            if let Ok(der) = unarmoured(&text) {
                prop_assert_eq!(pem::decode(pem::CRL, &text).unwrap().to_vec(), der);
            }
        }

        #[test]
        fn no_text_panics(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = unarmoured(&text);
            let _ = unarmoured(&[BEGIN, &text].concat());
        }
    }
}
