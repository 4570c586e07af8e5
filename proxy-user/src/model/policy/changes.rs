//! What is to be looked at again.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Prefix;

/// Of what the objects say something else since it was last asked.
#[derive(Default, Debug)]
pub(crate) struct Changes {
    /// Who these are.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Which blocks hold these.
    pub(crate) networks: BTreeSet<Prefix>,
}
