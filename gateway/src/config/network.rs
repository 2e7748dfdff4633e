//! Which addresses and names are not reached from outside.

use std::net::IpAddr;

/// Whether an address is this machine's or one of those that are not reached from outside: RFC 1918, RFC 6598 (also VPNs
/// such as Tailscale), RFC 3927, RFC 4193, RFC 4291.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
                || first == 100 && second & 0xc0 == 64
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_unspecified()
        }
    }
}

/// Whether nobody can register a name in the public name system: it has no dot, or is under a domain that is kept for
/// such (RFC 6761, RFC 6762; ICANN's `internal`; RFC 8375).
pub(crate) fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let kept = [".localhost", ".local", ".internal", ".home.arpa"];
    !name.is_empty() && (!name.contains('.') || kept.iter().any(|domain| name.ends_with(domain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_and_local_names_are_known() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_private(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(!is_private(address.parse().unwrap()), "{address}");
        }
        for name in ["localhost", "ollama", "gpu.local", "HOST.docker.internal.", "a.home.arpa"] {
            assert!(is_local_name(name), "{name}");
        }
        for name in ["api.openai.com", "local.example", ".", ""] {
            assert!(!is_local_name(name), "{name}");
        }
    }
}
