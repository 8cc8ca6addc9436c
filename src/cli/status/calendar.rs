//! `status` as a calendar (RFC 5545): one all-day event for everything that ends.
//! Knows nothing of where the file goes.

use super::screen::{ClientEnd, Screen};
use crate::time::Time;

/// The whole file.
pub fn render(screen: &Screen, clients: &[ClientEnd]) -> String {
    let mut calendar = Calendar { text: String::new(), id: &screen.id, stamp: stamp(screen.now) };
    for line in ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//vpnpki//status//EN", "CALSCALE:GREGORIAN"] {
        calendar.line(line);
    }
    let ca = format!("CA {} ends", screen.ca.name);
    calendar.event("ca", screen.ca.not_after, &ca, "After that nobody gets in.");
    let crl = "After that nobody gets in; `vpnpki crl refresh` signs a new one.";
    calendar.event("crl", screen.crl.coverage_ends, "CRL ends", crl);
    for server in &screen.servers {
        let what = format!("server {} ends", server.name);
        let why = format!("After that nobody gets in there; `vpnpki renew {}` replaces its certificate.", server.name);
        calendar.event(&server.serial.to_string(), server.not_after, &what, &why);
    }
    for client in clients {
        let what = format!("client {} ends", client.name);
        let why = format!("After that it does not get in; `vpnpki renew {}` replaces its certificate.", client.name);
        calendar.event(&client.serial.to_string(), client.not_after, &what, &why);
    }
    calendar.line("END:VCALENDAR");
    calendar.text
}

struct Calendar<'a> {
    text: String,
    id: &'a str,
    stamp: String,
}

impl Calendar<'_> {
    /// `subject` names the same thing in every calendar of this authority, so that an event moves when its end does.
    fn event(&mut self, subject: &str, ends: Time, summary: &str, description: &str) {
        self.line("BEGIN:VEVENT");
        self.line(&format!("UID:{}-{subject}@vpnpki", self.id));
        self.line(&format!("DTSTAMP:{}", self.stamp));
        self.line(&format!("DTSTART;VALUE=DATE:{}", day(ends)));
        self.line(&format!("SUMMARY:{}", escaped(summary)));
        self.line(&format!("DESCRIPTION:{}", escaped(description)));
        self.line("TRANSP:TRANSPARENT");
        for days in REMINDERS {
            self.line("BEGIN:VALARM");
            self.line("ACTION:DISPLAY");
            self.line(&format!("DESCRIPTION:{}", escaped(summary)));
            self.line(&format!("TRIGGER:-P{days}D"));
            self.line("END:VALARM");
        }
        self.line("END:VEVENT");
    }

    /// A line of at most 75 octets, the rest behind a space on lines of its own (RFC 5545, 3.1).
    fn line(&mut self, line: &str) {
        let mut room = WIDTH;
        for character in line.chars() {
            if character.len_utf8() > room {
                self.text.push_str("\r\n ");
                room = WIDTH - 1;
            }
            room -= character.len_utf8();
            self.text.push(character);
        }
        self.text.push_str("\r\n");
    }
}

/// Text as a value: no control characters, and what separates values is escaped (RFC 5545, 3.3.11).
fn escaped(text: &str) -> String {
    let mut value = String::new();
    for character in text.chars() {
        match character {
            '\n' => value.push_str("\\n"),
            '\\' | ';' | ',' => value.extend(['\\', character]),
            other if other.is_control() => value.extend(other.escape_default()),
            other => value.push(other),
        }
    }
    value
}

fn day(time: Time) -> String {
    time.date().replace('-', "")
}

fn stamp(time: Time) -> String {
    time.to_string().replace(['-', ':'], "")
}

const WIDTH: usize = 75;

/// Days before an end.
const REMINDERS: [u32; 2] = [30, 7];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> String {
        let mut calendar = Calendar { text: String::new(), id: "", stamp: String::new() };
        calendar.line(text);
        calendar.text
    }

    #[test]
    fn values_are_escaped_and_dates_are_basic() {
        assert_eq!(escaped("a;b,c\\d\ne\rf"), "a\\;b\\,c\\\\d\\ne\\rf");
        let time = Time::parse("2027-03-01T10:00:05Z").unwrap();
        assert_eq!((day(time).as_str(), stamp(time).as_str()), ("20270301", "20270301T100005Z"));
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_nothing_is_lost(text in "[a-zé€😀]{0,200}") {
            let folded = line(&text);
            prop_assert!(folded.split("\r\n").all(|part| part.len() <= 75));
            prop_assert_eq!(folded.replace("\r\n ", "").replace("\r\n", ""), text);
        }
    }
}
