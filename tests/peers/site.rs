//! A directory in which somebody runs `vpnpki`, a server and clients.
//! Knows how they are started together, not what they should do.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    common::{vpnpki, Outcome},
    network::{Network, INSIDE},
    openvpn::OpenVpn,
};

/// A directory of its own, gone when dropped. Everybody may enter it, as with the parents of `/etc/openvpn/server`.
pub struct Site(TempDir);

impl Site {
    /// An empty one.
    pub fn new() -> Self {
        let dir = TempDir::with_prefix("vpnpki-").expect("a directory");
        chmod(dir.path(), 0o755);
        Self(dir)
    }

    /// One with an authority in it, made by `init` with these options beside `--no-passphrase`, and a remote when they name none.
    #[track_caller]
    pub fn with_authority(options: &str) -> Self {
        let site = Self::new();
        let remote = if options.contains("--remote") { "" } else { "--remote 10.99.0.1" };
        site.run(&format!("init --no-passphrase {remote} {options}")).succeeds();
        site
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Runs `vpnpki` here.
    #[track_caller]
    pub fn run(&self, line: &str) -> Outcome {
        Outcome::of(&mut vpnpki(self.dir(), line))
    }

    /// Runs another program here.
    #[track_caller]
    pub fn tool(&self, line: &str) -> Outcome {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a program");
        Outcome::of(Command::new(program).args(words).current_dir(self.dir()))
    }

    /// A setting, as if edited by hand.
    pub fn set(&self, table: &str, key: &str, value: impl Into<toml_edit::Value>) {
        let file = self.path("pki/vpnpki.toml");
        let mut settings: toml_edit::DocumentMut =
            fs::read_to_string(&file).expect("settings").parse().expect("settings in TOML");
        settings[table].or_insert(toml_edit::table())[key] = toml_edit::value(value);
        fs::write(&file, settings.to_string()).expect("settings written");
    }

    /// Starts the server from its directory here, and waits until it serves.
    #[track_caller]
    pub fn server(&self, network: &Network, dir: &str) -> OpenVpn {
        OpenVpn::up(&network.server, &self.path(dir).join("server.conf"))
    }

    /// Connects the n-th client with a profile here, and shows that the server's inner address answers.
    #[track_caller]
    pub fn connects(&self, network: &Network, client: usize, profile: &str) -> OpenVpn {
        let client = &network.clients[client];
        let process = OpenVpn::up(client, &self.path(profile));
        assert!(client.pings(INSIDE), "no ping through the tunnel:\n{}", process.log());
        process
    }

    /// Tries to connect the n-th client with a profile here, and shows that the server refuses it as revoked.
    #[track_caller]
    pub fn is_refused(&self, network: &Network, server: &mut OpenVpn, client: usize, profile: &str) {
        self.is_refused_with(network, server, client, profile, "certificate revoked");
    }

    /// The same where the server says it in these words.
    #[track_caller]
    pub fn is_refused_with(&self, network: &Network, server: &mut OpenVpn, client: usize, profile: &str, words: &str) {
        let client = &network.clients[client];
        let before = server.log().len();
        let process = OpenVpn::start(client, &self.path(profile));
        server.wait_for(words, before);
        assert!(!client.pings(INSIDE), "a revoked client has a tunnel:\n{}", process.log());
        assert!(!process.is_up(), "a revoked client is connected:\n{}", process.log());
    }
}

/// A call under another program, which takes a command line as its last arguments.
pub fn under(mut outer: Command, call: &Command) -> Command {
    outer.arg(call.get_program()).args(call.get_args()).stdin(Stdio::null());
    call.get_current_dir().map(|dir| outer.current_dir(dir));
    for (variable, _) in call.get_envs().filter(|(_, value)| value.is_none()) {
        outer.env_remove(variable);
    }
    outer
}

/// Sets the permission bits.
pub fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
}
