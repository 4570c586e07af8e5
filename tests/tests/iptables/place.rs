//! A node for rules: a network namespace whose loopback interface has the addresses of its endpoints.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;
use proxy_common::addr::Addr;
use proxy_common::tables::{Address, address_flags};
use proxy_user::dataplane::iptables::{Node, Rules, remove};
use proxy_user::model::{ServicePort, ServiceRef};
use proxy_user::plan::{Limits, Plan, Write};
use rustix::thread::UnshareFlags;

/// Its addresses on which node ports are served.
pub(crate) const NODE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

/// The node with its plan and its rules. Clean-up is the namespace's end.
pub(crate) struct Place {
    pub(crate) plan: Plan,
    pub(crate) rules: Rules,
    pub(crate) node: Node,
}

/// Runs a test on a node of its own.
pub(crate) fn on_a_node(test: impl FnOnce(&mut Place) + Send) {
    let on_the_node = || {
        // SAFETY: only this thread's network namespace changes; no file descriptor table is unshared.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }.expect("a network namespace takes root");
        run("ip link set lo up");
        let mut place = Place {
            plan: Plan::adopt(Default::default(), Limits::default()),
            rules: Rules::open().unwrap(),
            node: Node { pod_cidrs: vec!["10.1.0.0/16".parse().unwrap(), "fd00:1::/48".parse().unwrap()] },
        };
        let entry = |text: &str| (addr(text), Address { flags: address_flags::NODE | address_flags::NODE_PORT });
        place.plan.set_node_addresses([NODE[0], NODE[1], "127.0.0.1", "::1"].map(entry).into());
        test(&mut place);
    };
    let ended = thread::scope(|scope| scope.spawn(on_the_node).join());
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

impl Place {
    /// Has the tables be those of these Service ports; the writes.
    pub(crate) fn plan(&mut self, ports: &[ServicePort]) -> Vec<Write> {
        let mut services = std::collections::BTreeMap::<ServiceRef, Vec<ServicePort>>::new();
        for port in ports {
            services.entry(port.name.service.clone()).or_default().push(port.clone());
        }
        self.plan.update(&services)
    }

    /// The same, and the rules.
    pub(crate) fn serve(&mut self, ports: &[ServicePort]) {
        let writes = self.plan(ports);
        self.sync(Some(&writes));
    }

    pub(crate) fn sync(&mut self, writes: Option<&[Write]>) {
        self.rules.sync_services(self.plan.image(), writes, &self.node).unwrap();
    }

    /// The rules of both families, as an agent that starts anew makes them.
    pub(crate) fn anew(&self) -> Vec<String> {
        assert!(remove().unwrap(), "there were rules");
        assert!(!remove().unwrap(), "there are none left");
        assert!(!saved().iter().any(|line| line.contains("SLUICE")), "{:#?}", saved());
        Rules::open().unwrap().sync_services(self.plan.image(), None, &self.node).unwrap();
        saved()
    }
}

pub(crate) fn addr(text: &str) -> Addr {
    text.parse::<std::net::IpAddr>().unwrap().into()
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// All rules and chains in order but for what has no order: rules of single frontends.
pub(crate) fn saved() -> Vec<String> {
    let mut lines = Vec::new();
    for tool in ["iptables-save", "ip6tables-save"] {
        for table in ["nat", "filter"] {
            let printed = run(&format!("{tool} -t {table}"));
            let of_table = printed.lines().filter(|line| line.starts_with([':', '-']));
            let mut of_table: Vec<_> = of_table.map(|line| format!("{tool} {table} {}", uncounted(line))).collect();
            of_table.sort_by_key(|line| if has_order(line) { String::new() } else { line.clone() });
            lines.extend(of_table);
        }
    }
    lines
}

fn uncounted(line: &str) -> &str {
    line.split(" [").next().unwrap()
}

fn has_order(line: &str) -> bool {
    let dispatchers = ["SERVICES -", "NODEPORTS -", "PROXY-FIREWALL -"];
    !dispatchers
        .iter()
        .any(|chain| line.contains(&format!("-A SLUICE-{chain}")) || line.contains("EXTERNAL-SERVICES -"))
}

/// Runs a command in this thread's network namespace; its output.
pub(crate) fn run(command: &str) -> String {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Has a tool restore rules.
pub(crate) fn restore(tool: &str, rules: &str) {
    let mut child = Command::new(tool).arg("--counters").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{tool}: {rules}");
}

/// How often rules of this network namespace were changed, whatever the family and table.
pub(crate) fn generation() -> u32 {
    // struct nlmsghdr with NFT_MSG_GETGEN of NFNL_SUBSYS_NFTABLES and NLM_F_REQUEST, then an empty struct nfgenmsg.
    let mut request = Vec::new();
    request.extend(20_u32.to_ne_bytes());
    request.extend((10_u16 << 8 | 16).to_ne_bytes());
    request.extend(1_u16.to_ne_bytes());
    request.extend([0; 12]);
    let socket = Socket::new(NETLINK_NETFILTER).unwrap();
    socket.connect(&netlink_sys::SocketAddr::new(0, 0)).unwrap();
    socket.send(&request, 0).unwrap();
    let (answer, _) = socket.recv_from_full().unwrap();
    // The first attribute, behind as much of headers and its own, is NFTA_GEN_ID.
    u32::from_be_bytes(answer[24..28].try_into().unwrap())
}
