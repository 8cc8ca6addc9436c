//! Revocation lists as PEM (RFC 7468), put on and taken off while they are read: 64 columns and LF, as we write them.
//! Takes no other armour; whoever meets one reads the text whole.

use std::io::{self, Read};

use base64ct::{Base64, Encoding};

/// The text of a list whose DER is read, the same as `crl_pem` gives.
pub struct Armoured<R> {
    der: R,
    text: Vec<u8>,
    at: usize,
    state: State,
}

/// The DER of a list whose text is read.
pub struct Unarmoured<R> {
    text: R,
    /// Lines that were read and not decoded yet.
    lines: Vec<u8>,
    der: Vec<u8>,
    at: usize,
    state: State,
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
        Self { der, text: Vec::new(), at: 0, state: State::Begin }
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
        for line in der.chunks(LINE_DER) {
            let mut text = [0; LINE];
            let written = Base64::encode(line, &mut text).map_err(|_| fault())?;
            self.text.extend_from_slice(written.as_bytes());
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
        Self { text, lines: Vec::new(), der: Vec::new(), at: 0, state: State::Begin }
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
        while let Some((line, after)) = whole_line(rest).filter(|_| self.state == State::Inside) {
            self.state = decode(line, &mut self.der)?;
            rest = after;
        }
        if ended {
            if let Some(end) = rest.iter().position(|octet| *octet == b'\n').filter(|_| !rest.starts_with(b"-")) {
                // the last line may be short, but there is one last line only
                (self.state == State::Inside).then_some(()).ok_or_else(fault)?;
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

/// Whether more lines may follow this one: one that is not full, by its length or its padding, is the last.
fn decode(line: &[u8], der: &mut Vec<u8>) -> io::Result<State> {
    let mut octets = [0; LINE_DER];
    let octets = Base64::decode(line, &mut octets).map_err(|_| fault())?;
    der.extend_from_slice(octets);
    match octets.len() {
        0 => Err(fault()),
        LINE_DER => Ok(State::Inside),
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
