//! The rules of Services, in kube-proxy's own structure: a chain of frontends, one a Service port and set of endpoints, and
//! one an endpoint.
//!
//! What rules there should be is a pure function of the tables. The chains of a Service port are written whole when they
//! change; in the chains that all share, single rules come and go. All of one family is one restore.

mod change;
mod endpoints;
mod fixed;
mod frontends;
mod names;
mod node_ports;
mod port;
mod refusals;
mod saved;
mod stale;
mod text;
mod written;

use std::collections::BTreeMap;

use proxy_common::addr::Family;

use self::change::{Present, Wanted};
use self::port::Port;
use self::saved::Found;
pub(super) use self::written::Written;
use self::written::{Frontends, Touched, node_addresses};
use super::Node;
use super::error::Error;
use super::rules::Rules;
use crate::plan::{Image, Write};

impl Rules {
    /// Makes the rules of Services be those of `image`, which is the tables after `writes`, and has the kernel forget the
    /// UDP flows that would go on to an endpoint that is none any more.
    ///
    /// `writes` are what changed since the last time; `None`, another `node`, or an error the last time, has all rules
    /// compared with those that there are.
    ///
    /// # Errors
    /// A tool fails; the next call compares everything.
    pub fn sync_services(&mut self, image: &Image, writes: Option<&[Write]>, node: &Node) -> Result<(), Error> {
        let known = self.services.take().filter(|written| written.node == *node);
        let (written, changed) = if let (Some(mut written), Some(writes)) = (known, writes) {
            let touched = written.note(writes);
            self.write_changes(&mut written, image, &touched)?;
            (written, touched.members)
        } else {
            let written = self.write_difference(image, node)?;
            let all = written.frontends.ids().map(|id| (id, written.frontends.of(id))).collect();
            (written, all)
        };
        stale::remove(image, &changed)?;
        self.services = Some(written);
        Ok(())
    }

    /// Writes the rules of what was touched.
    fn write_changes(&self, written: &mut Written, image: &Image, touched: &Touched) -> Result<(), Error> {
        let mut changes: BTreeMap<Family, (Wanted, Present)> = BTreeMap::new();
        for id in &touched.ids {
            if let Some((family, old)) = written.ports.remove(id) {
                changes.entry(family).or_default().1.extend(old);
            }
            if let Some(port) = Port::read(image, *id, &written.frontends.of(*id)) {
                let rules = port_rules(&port, &written.node);
                written.ports.insert(*id, (port.family, rules.present()));
                changes.entry(port.family).or_default().0.extend(rules);
            }
        }
        for family in self.families.iter().filter(|_| touched.addresses) {
            let rules = node_port_rules(*family, written);
            let (wanted, present) = changes.entry(*family).or_default();
            present.extend(written.node_ports.insert(*family, rules.present()).unwrap_or_default());
            wanted.extend(rules);
        }
        for (family, (wanted, present)) in changes.iter().filter(|(family, _)| self.families.contains(family)) {
            wanted.changes(present).run(*family)?;
        }
        Ok(())
    }

    /// Compares all rules with those that there are, and writes what differs.
    fn write_difference(&self, image: &Image, node: &Node) -> Result<Written, Error> {
        let mut written = Written {
            node: node.clone(),
            frontends: Frontends::new(image),
            addresses: node_addresses(image),
            ports: BTreeMap::new(),
            node_ports: BTreeMap::new(),
        };
        let ports: Vec<_> = written
            .frontends
            .ids()
            .filter_map(|id| Some((id, Port::read(image, id, &written.frontends.of(id))?)))
            .collect();
        for family in &self.families {
            let mut wanted = Wanted::default();
            fixed::add(&mut wanted, self.tcp_be_liberal);
            for (id, port) in ports.iter().filter(|(_, port)| port.family == *family) {
                let rules = port_rules(port, node);
                written.ports.insert(*id, (*family, rules.present()));
                wanted.extend(rules);
            }
            let rules = node_port_rules(*family, &written);
            written.node_ports.insert(*family, rules.present());
            wanted.extend(rules);
            let found = Found::read(*family)?;
            let mut restore = found.missing_dispatchers();
            restore.extend(wanted.changes(&found.present()));
            restore.extend(found.jumps());
            restore.run(*family)?;
        }
        Ok(written)
    }
}

/// All rules of one Service port.
fn port_rules(port: &Port, node: &Node) -> Wanted {
    let mut wanted = Wanted::default();
    endpoints::add(&mut wanted, port, node);
    frontends::add(&mut wanted, port, node);
    refusals::add(&mut wanted, port);
    wanted
}

/// What depends on the node's addresses.
fn node_port_rules(family: Family, written: &Written) -> Wanted {
    let mut wanted = Wanted::default();
    node_ports::add(&mut wanted, family, &written.addresses);
    fixed::add_firewall(&mut wanted, node_ports::on_loopback(family, &written.addresses));
    wanted
}
