//! Names of policies as `POLICY_NAMES` holds them.

use proxy_common::tables::PolicyName;

use crate::model::PolicyRef;

/// To the table. A namespace is a DNS label and a name a DNS subdomain, which fit with a zero byte to spare.
pub(super) fn to_table(policy: &PolicyRef) -> PolicyName {
    PolicyName { namespace: padded(&policy.namespace), name: padded(&policy.name) }
}

/// From the table; `None` where the entry is none that [`to_table`] writes.
pub(super) fn from_table(name: &PolicyName) -> Option<PolicyRef> {
    Some(PolicyRef { namespace: text(&name.namespace)?, name: text(&name.name)? })
}

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    bytes
}

fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(str::from_utf8(&bytes[..end]).ok()?.to_owned())
}
