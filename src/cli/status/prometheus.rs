//! `status` as gauges in Prometheus' text format, for node_exporter's textfile collector.
//! Knows nothing of where the file goes or how often it is made.

use std::fmt::{Display, Write};

use super::screen::{ClientEnd, Screen};
use crate::authority::publishing::TargetState;

/// The whole file. `clients` are named in labels, so they are given only where that is wanted.
pub fn render(screen: &Screen, clients: &[ClientEnd]) -> String {
    let mut page = Page(String::new());
    let Screen { ca, crl, .. } = screen;
    page.one("vpnpki_ca_not_after_seconds", "When the certificate of the CA ends.", ca.not_after.unix());
    page.one("vpnpki_crl_next_update_seconds", "When the CRL of now ends.", crl.next_update.unix());
    let help = "When the last CRL ends that was signed in advance; they are published by a timer.";
    page.one("vpnpki_crl_coverage_end_seconds", help, crl.coverage_ends.unix());
    page.one("vpnpki_crl_number", "The number of the CRL of now.", crl.number);
    page.one("vpnpki_crl_entries", "How many serials the CRL of now lists.", crl.entries);
    let servers = screen.servers.iter().map(|server| (server.name.as_str(), server.not_after.unix()));
    page.many("vpnpki_server_not_after_seconds", "When the certificate of a server ends.", "server", servers);
    let count = &screen.clients;
    let clients_by_status = [
        ("valid", count.valid),
        ("expired", count.expired),
        ("revoked", count.revoked),
        ("suspended", count.suspended),
    ];
    page.many("vpnpki_clients", "Clients by the status of their certificate.", "status", clients_by_status);
    let help = "Renewed certificates that are accepted until their overlap ends.";
    page.one("vpnpki_superseded", help, screen.superseded.len());
    let targets =
        STATES.map(|(state, word)| (word, screen.targets.iter().filter(|target| target.state == state).count()));
    page.many("vpnpki_targets", "Directories of servers by how the CRL there stands.", "state", targets);
    page.one("vpnpki_due", "What ends soon, or has ended.", screen.due.len());
    page.one("vpnpki_problems", "What is wrong and has no date.", screen.problems.len());
    page.one("vpnpki_ledger_entries", "Entries of the ledger: it never shrinks.", screen.ledger_entries);
    if !clients.is_empty() {
        let ends = clients.iter().map(|client| (client.name.as_str(), client.not_after.unix()));
        page.many("vpnpki_client_not_after_seconds", "When the certificate of a client ends.", "name", ends);
    }
    page.0
}

struct Page(String);

impl Page {
    fn one(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help);
        // writing to a String cannot fail
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn many<'a, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        self.head(name, help);
        for (text, value) in samples {
            let _ = writeln!(self.0, "{name}{{{label}=\"{}\"}} {value}", escaped(text));
        }
    }

    fn head(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
    }
}

/// A label's value: backslash, quote and line feed are escaped (Prometheus, "Text-based format").
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Every state, so that a gauge that falls to 0 says so instead of going away.
const STATES: [(TargetState, &str); 6] = [
    (TargetState::Current, "current"),
    (TargetState::Ahead, "ahead"),
    (TargetState::Behind, "behind"),
    (TargetState::Newer, "newer"),
    (TargetState::Unreadable, "unreadable"),
    (TargetState::Failed, "failed"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page(String::new());
        page.many("m", "Help.", "l", [("a\\b\"c\nd", 1)]);
        assert_eq!(page.0, "# HELP m Help.\n# TYPE m gauge\nm{l=\"a\\\\b\\\"c\\nd\"} 1\n");
    }
}
