//! Whether bundles can be as they are asked for and work with their program: found before a vault is opened or a key made.
//! Knows no program; what each is known to fail with is the bundle's.

use crate::{
    authority::{deliver::Outputs, workshop::Workshop, AuthorityError},
    bundle::{
        self,
        program::{Holder, KeyKind},
        BundleError,
    },
    inventory::Role,
    name::Name,
    pki::IssuerCertificate,
    store::View,
    time::Time,
};

/// What all bundles of an act are judged by.
pub(super) struct Fitness<'a> {
    workshop: &'a Workshop,
    outputs: &'a Outputs,
    /// The CA's and the servers'.
    keys: Vec<(Holder, KeyKind)>,
}

impl<'a> Fitness<'a> {
    /// With the keys of the authority, where a program is named; nobody looks at them where none is.
    pub fn new(
        workshop: &'a Workshop,
        outputs: &'a Outputs,
        view: &dyn View,
        now: Time,
    ) -> Result<Self, AuthorityError> {
        let mut keys = Vec::new();
        if outputs.order.program.is_some() {
            let issuer = IssuerCertificate::parse(&view.issuer()?.certificate)?;
            keys.push((Holder::Ca, KeyKind::of(&issuer.algorithm().to_string())));
            for (_, certificate) in view.servers()? {
                if let (Some(holder), true) = (&certificate.holder, certificate.is_accepted(now)) {
                    keys.push((Holder::Server, KeyKind::of(&holder.algorithm)));
                }
            }
        }
        Ok(Self { workshop, outputs, keys })
    }

    /// Someone's bundle; `algorithm` is of their key, as the inventory names it.
    pub fn check(&self, name: &Name, role: Role, algorithm: &str) -> Result<(), AuthorityError> {
        let Self { workshop: Workshop { settings, templates, .. }, outputs, .. } = self;
        if let (Role::Server, Some(program)) = (role, outputs.order.program) {
            return Err(BundleError::ProgramOfServer(program).into());
        }
        if role == Role::Client {
            let mut keys = self.keys.clone();
            keys.push((Holder::Client, KeyKind::of(algorithm)));
            bundle::check_fit(settings, templates, name, &outputs.order, &keys)?;
        }
        Ok(())
    }
}
