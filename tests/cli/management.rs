//! A management interface as `OpenVPN` has one, with clients that can be killed, on a socket or a port of its own.
//! Knows the protocol (`manage.c`) and nothing of `vpnpki`.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

/// A server with clients; it serves until the test's process ends.
#[derive(Clone)]
pub struct Fake(Arc<Mutex<State>>);

/// What it has and what it was told.
pub struct State {
    /// Common names with the server's numbers for them.
    pub clients: Vec<(String, u64)>,
    /// Every line that was said to it.
    pub heard: Vec<String>,
    /// What it asks for first.
    pub password: Option<String>,
    /// What becomes of a client that is killed.
    pub killed: Killed,
    /// What was in this file when a client was killed.
    pub watched: Option<std::path::PathBuf>,
    /// That.
    pub seen: Vec<Vec<u8>>,
}

/// What becomes of a client that is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    /// It is gone.
    Gone,
    /// It stays, though the server says otherwise.
    Stays,
    /// It is back at once, as a new session.
    Back,
}

impl Fake {
    /// With these clients.
    pub fn new(clients: &[&str]) -> Self {
        let clients = clients.iter().zip(0..).map(|(name, id)| ((*name).to_owned(), id)).collect();
        let (heard, seen) = (Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(State { clients, heard, password: None, killed: Killed::Gone, watched: None, seen })))
    }

    /// Its state, to look at or to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("a state that no panic spoiled")
    }

    /// The names of who is connected.
    pub fn connected(&self) -> Vec<String> {
        self.state().clients.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Listens on a socket.
    pub fn on_socket(&self, path: &Path) {
        let listener = UnixListener::bind(path).expect("a socket");
        let fake = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                fake.serve(BufReader::new(&stream), &stream);
            }
        });
    }

    /// Listens on a port of 127.0.0.1, and says which.
    pub fn on_port(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let fake = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                fake.serve(BufReader::new(&stream), &stream);
            }
        });
        port
    }

    /// One program at a time, until it hangs up; what cannot be said any more is nobody's loss.
    fn serve(&self, from: impl BufRead, mut to: impl Write) {
        let mut lines = from.lines().map_while(Result::ok);
        let password = self.state().password.clone();
        if let Some(password) = password {
            loop {
                let _ = to.write_all(b"ENTER PASSWORD:");
                match lines.next() {
                    Some(line) if line == password => break,
                    Some(_) => {}
                    None => return,
                }
            }
            let _ = to.write_all(b"SUCCESS: password is correct\r\n");
        }
        let _ = to.write_all(b">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n");
        for line in lines {
            let answer = self.state().answer(&line);
            // a notice may come before any answer
            let _ = to.write_all(format!(">BYTECOUNT_CLI:0,1,2\r\n{answer}").as_bytes());
        }
    }
}

impl State {
    fn answer(&mut self, line: &str) -> String {
        self.heard.push(line.to_owned());
        match line.split_once(' ') {
            Some(("status", "3")) => self.status(),
            Some(("kill", name)) => self.kill(name),
            _ => "ERROR: unknown command, enter 'help' for more options\r\n".to_owned(),
        }
    }

    fn status(&self) -> String {
        let row = |(name, id): &(String, u64)| {
            let (port, host) = (40000 + id, id + 2);
            format!("CLIENT_LIST\t{name}\t192.0.2.1:{port}\t10.8.0.{host}\t\t2433\t2360\t2026-11-22 22:26:52\t1795386412\tUNDEF\t{id}\t0\tAES-256-GCM\r\n")
        };
        let rows: String = self.clients.iter().map(row).collect();
        format!("{HEAD}{rows}HEADER\tROUTING_TABLE\tVirtual Address\tCommon Name\r\nGLOBAL_STATS\tdco_enabled\t0\r\nEND\r\n")
    }

    fn kill(&mut self, name: &str) -> String {
        self.seen.extend(self.watched.as_ref().map(|file| std::fs::read(file).unwrap_or_default()));
        let count = self.clients.iter().filter(|(client, _)| client == name).count();
        if count == 0 {
            return format!("ERROR: common name '{name}' not found\r\n");
        }
        let next = self.clients.iter().map(|(_, id)| id + 1).max().unwrap_or(0);
        match self.killed {
            Killed::Stays => {}
            Killed::Gone => self.clients.retain(|(client, _)| client != name),
            Killed::Back => {
                self.clients.retain(|(client, _)| client != name);
                self.clients.push((name.to_owned(), next));
            }
        }
        format!("SUCCESS: common name '{name}' found, {count} client(s) killed\r\n")
    }
}

const HEAD: &str = "TITLE\tOpenVPN 2.6.14\r\nTIME\t2026-11-22 22:26:58\t1795386418\r\nHEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address\tBytes Received\tBytes Sent\tConnected Since\tConnected Since (time_t)\tUsername\tClient ID\tPeer ID\tData Channel Cipher\r\n";
