//! Targets: directories in which servers read the CRL, named by the user and recorded.
//! Knows nothing of how a CRL gets there.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    authority::{
        deliver::{Destination, Outputs},
        Authority, AuthorityError, Unlocked,
    },
    bundle::Format,
    files,
    inventory::{Change, Event, Role, Target},
    name::Name,
    pki::IssuerCertificate,
    publish,
    store::View,
};

/// A directory that became a target, or was one.
#[derive(Debug, Serialize)]
pub struct Added {
    /// Absolute path.
    pub dir: PathBuf,
    /// Whether it is new.
    pub changed: bool,
}

impl Authority {
    /// Records a directory as one to publish to, after a check that a server of ours reads its CRL there.
    pub fn add_target(
        &self,
        dir: &Path,
        server: Option<&Name>,
        unlocked: Option<&Unlocked>,
    ) -> Result<Added, AuthorityError> {
        let dir = files::real_path(dir)?;
        let text = dir.to_str().ok_or_else(|| AuthorityError::Usage("a target's path is UTF-8".to_owned()))?.to_owned();
        let mut writing = self.begin()?;
        let issuer = IssuerCertificate::parse(&writing.issuer()?.certificate)?;
        publish::inspect(&dir, issuer.der())?;
        if writing.targets()?.iter().any(|target| target.dir == text) {
            return Ok(Added { dir, changed: false });
        }
        let server = server.map_or_else(|| server_name(&*writing), |name| Ok(name.to_string()))?;
        let target = Target { dir: text.clone(), server, added: self.now() };
        writing.record(&Change::Target(target))?;
        self.commit(writing, "crl publish --add", vec![Event::TargetAdded { dir: text }], false, unlocked)?;
        Ok(Added { dir, changed: true })
    }
}

/// A target is a directory with a name, not a file and not standard output.
pub(super) fn check_directory(outputs: &Outputs) -> Result<(), AuthorityError> {
    let named = matches!(outputs.destination, Destination::Path(_));
    if named && outputs.order.format(Role::Server) == Format::Dir {
        Ok(())
    } else {
        Err(AuthorityError::Usage("`--publish` needs `-o DIR`, the directory the server runs from".to_owned()))
    }
}

/// The first server; with several, each target belongs to the one whose bundle was put there.
pub(super) fn server_name(view: &dyn View) -> Result<String, AuthorityError> {
    Ok(view.servers()?.first().map_or_else(String::new, |(peer, _)| peer.name.to_string()))
}
