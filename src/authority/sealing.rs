//! For whom bundles are encrypted: as the call says, or as a peer has it on record.
//! Knows no file; what comes out is an age file in place of the bundle.

use crate::{
    authority::{admission::Addressee, deliver::Outputs, AuthorityError, Keyholder},
    bundle::{Bundle, Format},
    name::Name,
    secret::Secret,
    vault::{Envelope, Form, Plugins, Recipient},
};

/// Whether and for whom bundles are encrypted.
#[derive(Default)]
pub enum Sealing {
    /// For those whom a peer has on record; in clear where there are none.
    #[default]
    AsRecorded,
    /// In clear, whoever is on record.
    Clear,
    /// For these, whoever is on record.
    For(Envelope),
}

impl Sealing {
    /// Whether a bundle of somebody with these recipients on record is encrypted.
    pub fn seals(&self, recorded: &[String]) -> bool {
        match self {
            Self::AsRecorded => !recorded.is_empty(),
            Self::Clear => false,
            Self::For(_) => true,
        }
    }

    /// What is asked before anything is made: that the one file there must be is no directory, and that those on record
    /// are recipients. Finds the plugins that are needed.
    pub(super) fn prepare(
        &self,
        outputs: &Outputs,
        addressees: &[Addressee],
        keyholder: &dyn Keyholder,
    ) -> Result<Option<Plugins>, AuthorityError> {
        let mut needed = matches!(self, Self::For(envelope) if envelope.needs_plugins());
        for Addressee { name, role, recipients, .. } in addressees.iter().filter(|one| self.seals(one.recipients)) {
            if outputs.order.format(*role) == Format::Dir {
                return Err(AuthorityError::SealedDirectory((*name).clone()));
            }
            if matches!(self, Self::AsRecorded) {
                needed |= on_record(name, recipients)?.needs_plugins();
            }
        }
        Ok(needed.then(|| keyholder.plugins()))
    }

    /// The bundle as it leaves, and for whom it is encrypted.
    pub(super) fn seal(
        &self,
        name: &Name,
        recorded: &[String],
        made: Bundle,
        form: Form,
        plugins: Option<&Plugins>,
    ) -> Result<(Bundle, Vec<String>), AuthorityError> {
        let kept;
        let envelope = match self {
            _ if !self.seals(recorded) => return Ok((made, Vec::new())),
            Self::For(envelope) => envelope,
            _ => {
                kept = on_record(name, recorded)?;
                &kept
            }
        };
        match made {
            Bundle::File(bytes) => {
                let nobody = Plugins::unattended();
                let sealed = envelope.seal(&bytes, form, plugins.unwrap_or(&nobody))?;
                Ok((Bundle::File(Secret::new(sealed)), envelope.addressees()))
            }
            Bundle::Parts(_) => Err(AuthorityError::SealedDirectory(name.clone())),
        }
    }
}

/// Only what was parsed is recorded; what is no recipient now was put there from outside.
fn on_record(name: &Name, recorded: &[String]) -> Result<Envelope, AuthorityError> {
    let parse = |text: &String| {
        Recipient::parse(text).map_err(|fault| AuthorityError::RecordedRecipient { name: name.clone(), fault })
    };
    Ok(Envelope::to(recorded.iter().map(parse).collect::<Result<Vec<_>, _>>()?))
}
