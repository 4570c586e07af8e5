//! What names of Kubernetes look like (apimachinery, pkg/util/validation).

/// A DNS label (RFC 1123).
pub(super) fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len()) && is_part_of_subdomain(text)
}

/// Most bytes of a DNS subdomain.
pub(super) const SUBDOMAIN_MAX: usize = 253;

/// A DNS subdomain (RFC 1123). A part of it may be longer than a label.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_MAX && text.split('.').all(is_part_of_subdomain)
}

/// Name of a port (`IANA_SVC_NAME`, RFC 6335).
pub(super) fn is_port_name(text: &str) -> bool {
    text.len() <= 15
        && is_part_of_subdomain(text)
        && !text.contains("--")
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Key of a label.
pub(super) fn is_label_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name)
}

/// Value of a label; it may be empty.
pub(super) fn is_label_value(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.is_empty() || (text.len() <= 63 && text.bytes().all(is_inner) && has_ends(text, u8::is_ascii_alphanumeric))
}

fn is_part_of_subdomain(text: &str) -> bool {
    let is_end = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().all(|byte| is_end(&byte) || byte == b'-') && has_ends(text, is_end)
}

/// Whether both ends are as asked; no text has none.
fn has_ends(text: &str, is_end: impl Fn(&u8) -> bool) -> bool {
    [text.as_bytes().first(), text.as_bytes().last()].into_iter().all(|end| end.is_some_and(&is_end))
}
