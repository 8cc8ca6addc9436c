//! The environment, read once at start; what is secret is taken out of it.
//! The only place that reads it.

use std::{env, ffi::OsString, path::PathBuf};

use crate::secret::Secret;

/// What the environment says.
pub struct Environment {
    /// `VPNPKI_DIR`
    pub dir: Option<PathBuf>,
    /// `VPNPKI_PASSPHRASE_FILE`
    pub passphrase_file: Option<PathBuf>,
    /// `VPNPKI_PASSPHRASE`, which is no longer in the environment.
    pub passphrase: Option<Secret>,
    /// `VPNPKI_IDENTITY`
    pub identity: Option<PathBuf>,
    /// Who asked: `SUDO_USER`, else `USER`.
    pub user: Option<String>,
}

impl Environment {
    /// Reads it. Called before any thread is started, since it changes the environment.
    pub fn take() -> Self {
        let passphrase = variable("VPNPKI_PASSPHRASE");
        env::remove_var("VPNPKI_PASSPHRASE");
        Self {
            dir: variable("VPNPKI_DIR").map(PathBuf::from),
            passphrase_file: variable("VPNPKI_PASSPHRASE_FILE").map(PathBuf::from),
            passphrase: passphrase.map(|text| Secret::new(text.into_encoded_bytes())),
            identity: variable("VPNPKI_IDENTITY").map(PathBuf::from),
            user: ["SUDO_USER", "USER"].iter().find_map(|name| variable(name)?.into_string().ok()),
        }
    }
}

/// Leaves in the environment what a plugin may know: it inherits all of it. Called before the first one runs, when
/// no thread has been started. Whether standard error is coloured was decided by what goes, so that is kept.
pub fn clear_for_plugins() {
    anstream::AutoStream::choice(&std::io::stderr()).write_global();
    for (name, _) in env::vars_os() {
        if !FOR_PLUGINS.iter().any(|kept| name == *kept) {
            env::remove_var(name);
        }
    }
}

const FOR_PLUGINS: [&str; 3] = ["PATH", "HOME", "LANG"];

/// Set and not empty.
fn variable(name: &str) -> Option<OsString> {
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    env::var_os(name).filter(|value| !value.is_empty())
}
