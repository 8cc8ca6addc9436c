//! The answer to `status 3`: rows of words between tabs, the meaning of which a row of column names gives (`multi.c`).
//! Knows no socket; whatever comes, it ends in sessions or an error.

use super::{Session, SessionError};
use crate::{name::escape, time::Time};

/// An answer as far as it was read.
#[derive(Default)]
pub struct Listing {
    columns: Option<Columns>,
    sessions: Vec<Session>,
}

/// Where in a row of `CLIENT_LIST` what stands; versions differ in what they have.
struct Columns {
    name: usize,
    real: usize,
    since: usize,
    address: Option<usize>,
    ipv6: Option<usize>,
    id: Option<usize>,
}

impl Listing {
    /// Takes the next line; true when it was the last.
    pub fn take(&mut self, line: &str) -> Result<bool, SessionError> {
        let words: Vec<&str> = line.split('\t').collect();
        match words[..] {
            ["END"] => return Ok(true),
            ["HEADER", "CLIENT_LIST", ..] => {
                self.columns = Some(Columns::of(&words[1..]).ok_or_else(|| garbled(line))?);
            }
            ["CLIENT_LIST", ..] => {
                let columns = self.columns.as_ref().ok_or_else(|| garbled(line))?;
                let session = columns.session(&words).ok_or_else(|| garbled(line))?;
                self.sessions.extend((session.name != UNKNOWN).then_some(session));
            }
            _ if line.starts_with("ERROR:") => return Err(garbled(line)),
            // routes, figures and whatever later versions add
            _ => {}
        }
        Ok(false)
    }

    /// What was listed, once the last line was taken.
    pub fn finish(self) -> Result<Vec<Session>, SessionError> {
        match self.columns {
            Some(_) => Ok(self.sessions),
            None => Err(SessionError::NoServer),
        }
    }
}

impl Columns {
    /// From the words behind `HEADER`, which stand as in the rows.
    fn of(words: &[&str]) -> Option<Self> {
        let place = |name: &str| words.iter().position(|word| *word == name);
        Some(Self {
            name: place("Common Name")?,
            real: place("Real Address")?,
            since: place("Connected Since (time_t)")?,
            address: place("Virtual Address"),
            ipv6: place("Virtual IPv6 Address"),
            id: place("Client ID"),
        })
    }

    fn session(&self, words: &[&str]) -> Option<Session> {
        let word = |place: usize| words.get(place).copied();
        let text = |place: Option<usize>| place.and_then(word).filter(|word| !word.is_empty()).map(str::to_owned);
        Some(Session {
            name: word(self.name)?.to_owned(),
            real_address: word(self.real)?.to_owned(),
            virtual_address: text(self.address),
            virtual_ipv6: text(self.ipv6),
            since: Time::from_unix(word(self.since)?.parse().ok()?),
            id: self.id.and_then(word).and_then(|word| word.parse().ok()),
        })
    }
}

/// What cannot be understood, safe to show.
pub fn garbled(line: &str) -> SessionError {
    SessionError::Garbled(shown(line))
}

/// The beginning of a line from outside, escaped.
pub fn shown(line: &str) -> String {
    escape(&line.chars().take(60).collect::<String>())
}

/// What stands for a name until the certificate was verified (`ssl_verify.c`, `tls_common_name`): a handshake, no session.
const UNKNOWN: &str = "UNDEF";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address\tBytes Received\tBytes Sent\tConnected Since\tConnected Since (time_t)\tUsername\tClient ID\tPeer ID\tData Channel Cipher";
    const ROW: &str = "CLIENT_LIST\tclient1\t127.0.0.1:45034\t10.8.0.2\t\t2433\t2360\t2026-11-22 22:26:52\t1795386412\tUNDEF\t7\t0\tAES-256-GCM";

    fn read(lines: &[&str]) -> Result<Vec<Session>, SessionError> {
        let mut listing = Listing::default();
        for line in lines {
            if listing.take(line)? {
                return listing.finish();
            }
        }
        panic!("no end");
    }

    #[test]
    fn what_openvpn_2_6_says_is_read() {
        let handshake = ROW.replace("client1", "UNDEF");
        let all = ["TITLE\tOpenVPN 2.6.14", "TIME\tx\t1", HEADER, ROW, &handshake, "HEADER\tROUTING_TABLE\tx", "END"];
        let found = read(&all).unwrap();
        let expected = Session {
            name: "client1".to_owned(),
            real_address: "127.0.0.1:45034".to_owned(),
            virtual_address: Some("10.8.0.2".to_owned()),
            virtual_ipv6: None,
            since: Time::from_unix(1_795_386_412),
            id: Some(7),
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let header = "HEADER\tCLIENT_LIST\tConnected Since (time_t)\tReal Address\tCommon Name";
        let found = read(&[header, "CLIENT_LIST\t5\tthere\tclient1", "END"]).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].since.unix(), found[0].id), ("client1", 5, None));
    }

    #[test]
    fn what_is_missing_is_no_empty_list() {
        assert!(matches!(read(&["OpenVPN STATISTICS", "END"]), Err(SessionError::NoServer)));
        for broken in [
            [HEADER, "CLIENT_LIST\tclient1"],
            [HEADER, "CLIENT_LIST"],
            ["TITLE", ROW],
            ["HEADER\tCLIENT_LIST\tCommon Name", ROW],
            ["TITLE", "ERROR: unknown command"],
        ] {
            let lines = [&broken[..], &["END"]].concat();
            assert!(matches!(read(&lines), Err(SessionError::Garbled(_))), "{broken:?}");
        }
        let Err(error) = read(&[HEADER, "CLIENT_LIST\t\u{1b}[31m", "END"]) else { panic!("taken") };
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }

    proptest! {
        #[test]
        fn no_line_panics(lines in proptest::collection::vec("(HEADER\t)?(CLIENT_LIST\t)?((Common Name|Real Address|Connected Since \\(time_t\\)|Client ID|-?[0-9]{0,22}|\\PC{0,5})\t){0,8}", 0..6)) {
            let mut listing = Listing::default();
            for line in &lines {
                let _ = listing.take(line);
            }
            let _ = listing.finish();
        }

        #[test]
        fn every_row_is_one_session(names in proptest::collection::vec("[a-z]{1,8}", 0..20)) {
            let rows: Vec<String> = names.iter().map(|name| ROW.replace("client1", name)).collect();
            let lines: Vec<&str> = std::iter::once(HEADER).chain(rows.iter().map(String::as_str)).chain(["END"]).collect();
            let found = read(&lines).unwrap();
            prop_assert_eq!(found.into_iter().map(|session| session.name).collect::<Vec<_>>(), names);
        }
    }
}
