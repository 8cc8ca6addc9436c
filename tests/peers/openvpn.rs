//! A running `OpenVPN` and its log.
//! Knows nothing of how its configuration came to be.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{kill_process, Pid, Signal};
use tempfile::NamedTempFile;

use vpnpki::time::Time;

use crate::{clock, network::Namespace};

/// One `OpenVPN` process, server or client; ended when dropped.
pub struct OpenVpn {
    child: Child,
    log: NamedTempFile,
}

impl OpenVpn {
    /// Starts it with a configuration file, from the directory of that file.
    pub fn start(namespace: &Namespace, config: &Path) -> Self {
        Self::spawn(namespace.command("openvpn"), config)
    }

    /// Starts it with mbed TLS in place of OpenSSL.
    pub fn start_with_mbed_tls(namespace: &Namespace, config: &Path) -> Self {
        Self::spawn(namespace.command("openvpn-mbedtls"), config)
    }

    /// Starts it with a clock that shows another time.
    pub fn start_at(namespace: &Namespace, config: &Path, time: Time) -> Self {
        let mut command = namespace.command("openvpn");
        clock::set(&mut command, time);
        Self::spawn(command, config)
    }

    fn spawn(mut command: Command, config: &Path) -> Self {
        let log = NamedTempFile::new().expect("a file for the log");
        let output = |log: &NamedTempFile| Stdio::from(File::options().append(true).open(log.path()).expect("the log"));
        let child = command
            .arg("--config")
            .args(config.file_name())
            .current_dir(config.parent().expect("a file in a directory"))
            .stdin(Stdio::null())
            .stdout(output(&log))
            .stderr(output(&log))
            .spawn()
            .expect("openvpn starts");
        Self { child, log }
    }

    /// Starts and waits until it serves, or is connected.
    #[track_caller]
    pub fn up(namespace: &Namespace, config: &Path) -> Self {
        let mut started = Self::start(namespace, config);
        started.wait_for(UP, 0);
        started
    }

    /// Whether it serves, or was connected at some time.
    pub fn is_up(&self) -> bool {
        self.log().contains(UP)
    }

    /// Everything it said so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log.path()).expect("the log")).into_owned()
    }

    /// Waits until the text appears behind so many bytes of the log; ends the test when it does not, or when the process ended.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str, after: usize) {
        let end = Instant::now() + PATIENCE;
        loop {
            let ended = self.child.try_wait().expect("a child of ours").is_some();
            let log = self.log();
            if log.get(after..).is_some_and(|part| part.contains(text)) {
                return;
            }
            assert!(!ended, "openvpn ended before it said `{text}`:\n{log}");
            assert!(Instant::now() < end, "openvpn did not say `{text}` in {PATIENCE:?}:\n{log}");
            thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for OpenVpn {
    fn drop(&mut self) {
        // asked first, so that it takes its interface and routes away
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        for _ in 0..60 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(30));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const UP: &str = "Initialization Sequence Completed";
const PATIENCE: Duration = Duration::from_secs(30);
