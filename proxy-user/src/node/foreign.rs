//! Bridges that other software of the machine has for its own containers and virtual machines, by the names it gives them:
//! nothing else tells their ports from pods' interfaces before a Pod is known.

/// Beginnings of names; Docker's own networks are [`is_docker_network`]s.
const PREFIXES: [&str; 10] =
    ["docker0", "docker_gwbridge", "podman", "cni-podman", "nerdctl", "virbr", "lxcbr", "lxdbr", "incusbr", "mpqemubr"];

/// Whether a bridge of this name is for the containers or virtual machines of Docker, Podman, nerdctl, libvirt, LXC, LXD,
/// Incus or Multipass.
pub(super) fn is_foreign_bridge(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || is_docker_network(name)
}

/// `br-` and the first twelve digits of the network's number.
fn is_docker_network(name: &str) -> bool {
    let digits = name.strip_prefix("br-");
    digits.is_some_and(|digits| digits.len() == 12 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::is_foreign_bridge;

    #[test]
    fn bridges_of_others_are_known_by_name_and_those_of_pods_are_not() {
        for name in ["docker0", "br-0123456789ab", "virbr1", "lxdbr0", "podman0", "cni-podman0"] {
            assert!(is_foreign_bridge(name), "{name}");
        }
        for name in ["cni0", "br0", "br-ex", "br-lan", "kube-bridge", "cbr0", "weave", "br-0123456789abc"] {
            assert!(!is_foreign_bridge(name), "{name}");
        }
    }
}
