//! Several ways to a server: one that is shut, and one through an HTTP proxy.
//! Knows the profiles only as what `OpenVPN` is given.

use std::{
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::{
    network::{Namespace, Network, INSIDE},
    openvpn::OpenVpn,
    site::Site,
};

#[test]
#[ignore = "needs root and peers: tests/run"]
fn where_udp_is_shut_the_client_comes_in_by_tcp() {
    let site = Site::with_authority("--remote 10.99.0.1 --remote 10.99.0.1:443/tcp --issue client1");
    let network = Network::new(1);
    speaks_tcp(&site, "443");
    // shut without a word, as firewalls do it: what arrives is swallowed
    let _hole = Helper::start(&site, &network.server, HOLE);
    let _server = site.server(&network, "server");
    let began = Instant::now();
    let client = site.connects(&network, 0, "client1.ovpn");
    let took = began.elapsed();
    assert!(client.log().contains("Server poll timeout, restarting"), "udp was not tried:\n{}", client.log());
    assert!(took < Duration::from_secs(25), "it took {took:?}:\n{}", client.log());
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn a_client_comes_in_through_a_proxy_and_not_without_it() {
    let site = Site::with_authority("--remote 10.99.0.1:443/tcp --issue client1");
    let network = Network::new(1);
    site.set("client", "http-proxy", "10.99.0.2:8080");
    site.run("export client1 --force").succeeds();
    let _server = site.server(&network, "server");
    let mut alone = OpenVpn::start(&network.clients[0], &site.path("client1.ovpn"));
    alone.wait_for("Connection refused", 0);
    drop(alone);
    let _proxy = Helper::start(&site, &network.clients[0], PROXY);
    let client = site.connects(&network, 0, "client1.ovpn");
    assert!(client.log().contains("HTTP proxy returned: 'HTTP/1.0 200"), "not through it:\n{}", client.log());
    let asked = fs::read_to_string(site.path("asked")).expect("it was asked");
    assert_eq!(asked, "CONNECT 10.99.0.1:443");
}

#[test]
#[ignore = "needs root and peers: tests/run"]
fn clients_that_choose_at_random_come_in() {
    let site = Site::with_authority("--remote 10.99.0.1 --remote 10.99.0.1:1195 --issue client1");
    let network = Network::new(1);
    site.set("client", "remote-random", true);
    site.run("export client1 --force").succeeds();
    let _server = site.server(&network, "server");
    // whichever it begins with, the other one or the same answers within two turns
    let client = site.connects(&network, 0, "client1.ovpn");
    assert!(network.clients[0].pings(INSIDE), "{}", client.log());
}

/// As the copy of a server's directory that listens elsewhere.
fn speaks_tcp(site: &Site, port: &str) {
    let conf = site.path("server/server.conf");
    let text = fs::read_to_string(&conf).expect("a configuration");
    let text = text.replace("port 1194\nproto udp\n", &format!("port {port}\nproto tcp\n"));
    fs::write(&conf, text.replace("explicit-exit-notify 1\n", "")).expect("a configuration");
}

/// A small program in one namespace; ended when dropped.
struct Helper(Child);

impl Helper {
    #[track_caller]
    fn start(site: &Site, namespace: &Namespace, program: &str) -> Self {
        let file = site.path("helper.py");
        fs::write(&file, program).expect("a program");
        let child = namespace.command("python3").arg(file).current_dir(site.dir()).stdin(Stdio::null()).spawn();
        let helper = Self(child.expect("python3 starts"));
        let end = Instant::now() + Duration::from_secs(10);
        while !site.path("listening").exists() {
            assert!(Instant::now() < end, "the helper does not listen");
            std::thread::sleep(Duration::from_millis(30));
        }
        helper
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// Takes every datagram and says nothing.
const HOLE: &str = r#"
import pathlib, socket

hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
hole.bind(("10.99.0.1", 1194))
pathlib.Path("listening").touch()
while True:
    hole.recv(65536)
"#;

/// A proxy that knows CONNECT and nothing else.
const PROXY: &str = r#"
import pathlib, socket, threading

def carry(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.close()

listener = socket.create_server(("10.99.0.2", 8080))
pathlib.Path("listening").touch()
while True:
    client, _ = listener.accept()
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(1)
    method, place, _ = head.decode().split(" ", 2)
    pathlib.Path("asked").write_text(f"{method} {place}")
    host, port = place.rsplit(":", 1)
    server = socket.create_connection((host, int(port)))
    client.sendall(b"HTTP/1.0 200 Connection established\r\n\r\n")
    threading.Thread(target=carry, args=(client, server), daemon=True).start()
    threading.Thread(target=carry, args=(server, client), daemon=True).start()
"#;
