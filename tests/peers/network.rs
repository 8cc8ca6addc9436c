//! A network made for one test: a server and clients on one link, each in a network namespace of its own.
//! Knows nothing of `OpenVPN`.

use std::{
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::common::Outcome;

/// The server's address on the link, as bundles name it.
pub const SERVER: &str = "10.99.0.1";
/// The server's address inside the tunnel.
pub const INSIDE: &str = "10.8.0.1";

/// One server and so many clients, joined by a bridge in the server's namespace.
pub struct Network {
    /// Where the server runs.
    pub server: Namespace,
    /// Where the clients run.
    pub clients: Vec<Namespace>,
}

/// A network namespace; gone with its interfaces when dropped, also when the test fails.
pub struct Namespace(String);

impl Network {
    /// The server at 10.99.0.1, the clients from 10.99.0.2 on.
    pub fn new(clients: u8) -> Self {
        let server = Namespace::new();
        server.ip("link add br0 type bridge");
        server.ip(&format!("addr add {SERVER}/24 dev br0"));
        server.ip("link set br0 up");
        let clients = (2..).take(clients.into()).map(|number| server.join(number)).collect();
        Self { server, clients }
    }
}

impl Namespace {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("vpnpki-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Outcome::of(Command::new("ip").args(["netns", "add", &name])).succeeds();
        let namespace = Self(name);
        namespace.ip("link set lo up");
        namespace
    }

    /// A new namespace with a cable to this one's bridge.
    fn join(&self, number: u8) -> Self {
        let client = Self::new();
        let port = format!("port{number}");
        self.ip(&format!("link add {port} type veth peer name eth0 netns {}", client.0));
        self.ip(&format!("link set {port} master br0 up"));
        client.ip(&format!("addr add 10.99.0.{number}/24 dev eth0"));
        client.ip("link set eth0 up");
        client
    }

    /// A program to be started inside; it replaces `ip`, so its process is the one that is started.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    /// Whether one of five echo requests, a fifth of a second apart, is answered.
    pub fn pings(&self, address: &str) -> bool {
        Outcome::of(self.command("ping").args(["-n", "-c5", "-i0.2", "-W1", address])).status.success()
    }

    /// The routing table, as `ip route` prints it.
    pub fn routes(&self) -> String {
        self.ip("route")
    }

    fn ip(&self, line: &str) -> String {
        Outcome::of(Command::new("ip").args(["-n", &self.0]).args(line.split(' '))).succeeds().stdout
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // nothing to be done about a failure here: the name is never used again
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn the_network_of_the_tests_carries_pings_and_nothing_comes_from_outside() {
    let network = Network::new(2);
    assert!(network.clients.iter().all(|client| client.pings(SERVER)));
    assert!(!network.clients[0].pings(INSIDE), "no tunnel, no answer");
}
