//! All that a kube-proxy left.

use std::io;

use proxy_common::addr::protocol;

use super::iptables::Iptables;
use super::ipvs::Ipvs;
use crate::netfilter::{conntrack, nftables};

/// The table of nftables mode, one of that name in each family.
const TABLE: &str = "kube-proxy";

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Leftovers {
    iptables: Vec<Iptables>,
    /// Families with a table of nftables mode, by the names that `nft` has for them.
    tables: Vec<&'static str>,
    ipvs: Ipvs,
    /// Whether iptables could be asked.
    asked_iptables: bool,
    /// Whether conntrack translates connections.
    translates: bool,
}

/// Something isn't removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    /// Rules can't be looked at.
    #[error(
        "there is no iptables-save here, so rules of a kube-proxy in iptables mode can be neither found nor removed; install \
         iptables, or run this where it is"
    )]
    NoIptables,
    /// A tool or the kernel refused.
    #[error("{what} is not removed: {source}")]
    Refused {
        /// What it was about.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl Leftovers {
    /// Looks everywhere. What can't be asked has nothing.
    pub(crate) fn find() -> Self {
        let translates = translates();
        let (iptables, asked_iptables) = Iptables::find(translates);
        let tables =
            nftables::FAMILIES.into_iter().filter(|(family, _)| nftables::has_table(*family, TABLE).unwrap_or(false));
        Self {
            iptables,
            tables: tables.map(|(_, name)| name).collect(),
            ipvs: Ipvs::find(),
            asked_iptables,
            translates,
        }
    }

    /// Whether iptables could be asked.
    pub(crate) const fn asked_iptables(&self) -> bool {
        self.asked_iptables
    }

    /// What there is, for people; empty where there is nothing.
    pub(crate) fn names(&self) -> Vec<String> {
        let chains = self.iptables.iter().filter(|it| it.chains.count > 0);
        let chains = chains.map(|it| format!("{} chains in {}", it.chains.count, it.place()));
        let tables = self.tables.iter().map(|family| format!("nftables table {family} {TABLE}"));
        let mut names: Vec<_> = chains.chain(tables).collect();
        if self.ipvs.has_interface {
            names.push(format!("interface kube-ipvs0 with {} virtual servers", self.ipvs.virtual_servers));
        }
        names.extend(self.ipvs.sets.iter().map(|set| format!("ipset {set}")));
        names
    }

    const fn why_it_stays(&self) -> &'static str {
        if self.translates {
            "conntrack needs it while connections are alive that it translates; run this again when they have ended"
        } else {
            "rules of others lead to it"
        }
    }

    /// Removes it all, and tells `done` of each thing.
    ///
    /// # Errors
    /// What isn't removed, the first of it; the rest is tried all the same.
    pub(crate) fn remove(&self, mut done: impl FnMut(String)) -> Result<(), RemoveError> {
        let mut failed = None;
        for it in &self.iptables {
            let what = format!("{} chains in {}", it.chains.count, it.place());
            if it.chains.count > 0 {
                keep_first(&mut failed, it.remove().map(|()| done(format!("{what} removed"))), &what);
            }
            for chain in &it.chains.in_use {
                done(format!("{chain} in {} stays: {}", it.place(), self.why_it_stays()));
            }
        }
        for (family, name) in nftables::FAMILIES.into_iter().filter(|(_, name)| self.tables.contains(name)) {
            let what = format!("nftables table {name} {TABLE}");
            // Its chains and rules may be all that has conntrack translate.
            if self.translates {
                done(format!("{what} stays: {}", self.why_it_stays()));
                continue;
            }
            let removed = nftables::delete_table(family, TABLE).map(|()| done(format!("{what} removed")));
            keep_first(&mut failed, removed, &what);
        }
        keep_first(
            &mut failed,
            self.ipvs.remove().map(|removed| {
                for what in removed {
                    done(format!("{what} removed"));
                }
            }),
            "what IPVS mode made",
        );
        match failed {
            Some(error) => Err(error),
            None if !self.asked_iptables => Err(RemoveError::NoIptables),
            None => Ok(()),
        }
    }
}

fn keep_first(failed: &mut Option<RemoveError>, removed: io::Result<()>, what: &str) {
    if let Err(source) = removed {
        failed.get_or_insert(RemoveError::Refused { what: what.into(), source });
    }
}

/// Whether conntrack translates any connection; also where that can't be told.
fn translates() -> bool {
    let mut any = false;
    let told = conntrack::each(|it| any |= it.is_translated && matches!(it.protocol, protocol::TCP | protocol::SCTP));
    told.is_err() || any
}
