//! Checks of single fields.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use ipnetwork::IpNetwork;

use super::syntax;
use crate::model::Protocol;

/// A field that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct FieldError {
    /// Path of the field in the object, such as `spec.ports[0].port`.
    pub field: String,
    /// What is wrong with it.
    #[source]
    pub problem: FieldProblem,
}

/// What can be wrong with a field.
#[derive(Debug, thiserror::Error)]
pub enum FieldProblem {
    /// It has to be there.
    #[error("missing")]
    Missing,
    /// The API server would have filled it in, but there is none.
    #[error("missing; without an API server nobody assigns one: write {0}")]
    Unassigned(&'static str),
    /// Another type than the API has.
    #[error("{0}")]
    Type(#[source] serde_json::Error),
    /// The same, of a part of an object of which the rest counts.
    #[error("{0}")]
    OtherType(String),
    /// A version of a kind that is not served any more, of an object that would be missed.
    #[error("{0} is no version of it that is served: write {1}")]
    NotServed(String, &'static str),
    /// A field that the API doesn't have.
    #[error("not a field of the API as it is known here: misspelled, or newer")]
    UnknownField,
    /// Not an address.
    #[error("\"{0}\" is not an IP address")]
    NotAnAddress(String),
    /// An address that no packet can be sent to here.
    #[error("{0} is an unspecified, loopback or multicast address")]
    NotUsable(IpAddr),
    /// Address of the wrong family.
    #[error("{addr} is not of the family {expected}")]
    WrongFamily {
        /// The address.
        addr: IpAddr,
        /// `IPv4` or `IPv6`.
        expected: String,
    },
    /// A second one of its family.
    #[error("{0} is the second address of its family")]
    FamilyTwice(IpAddr),
    /// Not a range of addresses.
    #[error("\"{0}\" is not a range of addresses such as 10.244.1.0/24")]
    NotACidr(String),
    /// A number out of bounds.
    #[error("{value} is not between {} and {}", bounds.start(), bounds.end())]
    OutOfBounds {
        /// The number.
        value: i32,
        /// Its bounds.
        bounds: RangeInclusive<u32>,
    },
    /// Not a port number.
    #[error("{0} is not a port number (1 to 65535)")]
    NotAPort(i32),
    /// Not a DNS label.
    #[error("\"{0}\" is not a DNS label: at most 63 lower-case letters, digits and -, neither first nor last a -")]
    NotALabel(String),
    /// Not a DNS subdomain.
    #[error(
        "\"{0}\" is not a DNS subdomain: at most 253 lower-case letters, digits, - and ., with a letter or digit at both \
             ends of each part"
    )]
    NotASubdomain(String),
    /// Neither a port's number nor its name.
    #[error(
        "\"{0}\" is not the name of a port: at most 15 lower-case letters, digits and -, at least one of them a letter, \
             and no - at an end or beside another"
    )]
    NotAPortName(String),
    /// Not the key of a label.
    #[error(
        "\"{0}\" is not the key of a label: [PREFIX/]NAME, the prefix a DNS subdomain, the name as a label's value is, \
             and not empty"
    )]
    NotALabelKey(String),
    /// Not the value of a label.
    #[error(
        "\"{0}\" is not the value of a label: at most 63 letters, digits, -, _ and ., with a letter or digit at both ends"
    )]
    NotALabelValue(String),
    /// A requirement that says too little.
    #[error("missing; {0} needs at least one value")]
    NoValues(&'static str),
    /// A requirement that says too much.
    #[error("{0} takes no values")]
    HasValues(&'static str),
    /// Nothing where there must be one of several.
    #[error(
        "empty; write podSelector, namespaceSelector or ipBlock: {{podSelector: {{}}}} is every Pod of the namespace"
    )]
    NoPeer,
    /// A peer that is addresses and pods.
    #[error("stands beside a selector; make it a peer of its own")]
    BesideSelector,
    /// An exception that isn't one.
    #[error("{except} is not a part of {cidr}, and smaller")]
    NotWithin {
        /// The exception.
        except: IpNetwork,
        /// What it should be an exception from.
        cidr: IpNetwork,
    },
    /// The last port comes before the first.
    #[error("{last} is below port {first}")]
    BelowPort {
        /// `endPort`.
        last: u16,
        /// `port`.
        first: u16,
    },
    /// The last port of a range without a first.
    #[error("needs a port that is a number")]
    WithoutPort,
    /// A list that is too long.
    #[error("{0} entries; there can be two at most")]
    MoreThanTwo(usize),
    /// None of the values there are.
    #[error("\"{value}\" is none of {expected}")]
    Unknown {
        /// The value.
        value: String,
        /// The values there are.
        expected: &'static str,
    },
    /// What must be unique is there twice.
    #[error("{0} is there twice")]
    Twice(String),
    /// Two fields that must agree don't.
    #[error("\"{value}\" differs from {other}")]
    Differs {
        /// The value.
        value: String,
        /// The field it must be equal to.
        other: &'static str,
    },
}

impl FieldProblem {
    /// The problem, of the field `field`.
    pub(in crate::objects) fn at(self, field: impl Into<String>) -> FieldError {
        FieldError { field: field.into(), problem: self }
    }
}

/// An address that packets can be sent to. Zeros before a decimal byte are ignored, and an IPv4 address in IPv6 form
/// counts as IPv4.
pub(super) fn address(text: &str, field: impl Fn() -> String) -> Result<IpAddr, FieldError> {
    let Some(addr) = parse(text).map(|addr| addr.to_canonical()) else {
        return Err(FieldProblem::NotAnAddress(text.to_owned()).at(field()));
    };
    if addr.is_unspecified() || addr.is_loopback() || addr.is_multicast() {
        return Err(FieldProblem::NotUsable(addr).at(field()));
    }
    Ok(addr)
}

/// A range of addresses, without the bits beyond its prefix; leading zeros and IPv4 in IPv6 form as in [`address`]. White
/// space around it is ignored.
pub(super) fn range(text: &str, field: impl Fn() -> String) -> Result<IpNetwork, FieldError> {
    parse_range(text.trim()).ok_or_else(|| FieldProblem::NotACidr(text.to_owned()).at(field()))
}

/// The same, of a field where the API server takes no white space.
pub(super) fn cidr(text: &str, field: impl Fn() -> String) -> Result<IpNetwork, FieldError> {
    parse_range(text).ok_or_else(|| FieldProblem::NotACidr(text.to_owned()).at(field()))
}

fn parse_range(text: &str) -> Option<IpNetwork> {
    let (addr, prefix) = text.split_once('/')?;
    let (addr, prefix) = (parse(addr)?, decimal(prefix)?);
    let range = match addr {
        IpAddr::V6(v6) if prefix >= 96 && v6.to_ipv4_mapped().is_some() => {
            IpNetwork::new(addr.to_canonical(), prefix - 96).ok()?
        }
        _ => IpNetwork::new(addr, prefix).ok()?,
    };
    IpNetwork::new(range.network(), range.prefix()).ok()
}

/// Zeros before a decimal byte are ignored, as Kubernetes always did.
fn parse(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| {
        let bytes: Vec<u8> = text.split('.').map(decimal).collect::<Option<_>>()?;
        Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into())
    })
}

fn decimal(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A number within `bounds`.
pub(super) fn between(value: i32, bounds: RangeInclusive<u32>, field: impl Fn() -> String) -> Result<u32, FieldError> {
    let within = u32::try_from(value).ok().filter(|value| bounds.contains(value));
    within.ok_or_else(|| FieldProblem::OutOfBounds { value, bounds }.at(field()))
}

/// Addresses of which each must be of another family.
pub(super) fn one_per_family(ips: &[IpAddr], field: impl Fn(usize) -> String) -> Result<(), FieldError> {
    for (i, addr) in ips.iter().enumerate() {
        if ips[..i].iter().any(|other| other.is_ipv4() == addr.is_ipv4()) {
            return Err(FieldProblem::FamilyTwice(*addr).at(field(i)));
        }
    }
    Ok(())
}

/// A port number.
pub(super) fn port(number: i32, field: impl Fn() -> String) -> Result<u16, FieldError> {
    match u16::try_from(number) {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(FieldProblem::NotAPort(number).at(field())),
    }
}

/// A protocol; TCP where none is given.
pub(super) fn protocol(name: Option<&str>, field: impl Fn() -> String) -> Result<Protocol, FieldError> {
    choice(name, Protocol::Tcp, "TCP, UDP, SCTP", field, |name| match name {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    })
}

/// One of a few words; `default` where none is given.
pub(super) fn choice<T>(
    word: Option<&str>,
    default: T,
    expected: &'static str,
    field: impl Fn() -> String,
    known: impl Fn(&str) -> Option<T>,
) -> Result<T, FieldError> {
    match word.filter(|word| !word.is_empty()) {
        None => Ok(default),
        Some(word) => known(word).ok_or_else(|| FieldProblem::Unknown { value: word.to_owned(), expected }.at(field())),
    }
}

/// A DNS label (RFC 1123).
pub(super) fn label(text: &str, field: impl Fn() -> String) -> Result<(), FieldError> {
    if syntax::is_label(text) { Ok(()) } else { Err(FieldProblem::NotALabel(text.to_owned()).at(field())) }
}
