//! A pod's network namespace behind the bench's `pod0`.

use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// A thread in a network namespace of its own, which has the other end of the pod's interface: `10.244.1.20`, and the
/// bench's has `10.244.1.1`.
pub(crate) struct PodNetns {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

impl PodNetns {
    /// Moves an interface of this namespace into a new one.
    pub(crate) fn behind(inside: &str) -> Self {
        let (jobs, todo) = channel::<Job>();
        let (ready, started) = channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: a network namespace changes nothing that this process shares between threads as memory or descriptors.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.unwrap();
            ready.send(rustix::thread::gettid().as_raw_nonzero()).unwrap();
            for job in todo {
                job();
            }
        });
        let tid = started.recv().unwrap();
        let pid = std::process::id();
        ip(&format!("link set {inside} netns /proc/{pid}/task/{tid}/ns/net"));
        ip("addr add 10.244.1.1/32 dev pod0");
        let pod = Self { jobs: Some(jobs), thread: Some(thread) };
        let inside = inside.to_owned();
        pod.run(move || {
            ip("link set lo up");
            ip(&format!("link set {inside} up"));
            ip(&format!("addr add 10.244.1.20/24 dev {inside}"));
        });
        // The bench gives it an address at the link layer that nobody has.
        ip("neigh del 10.244.1.20 dev pod0");
        pod
    }

    /// Runs something there.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let job: Job = Box::new(move || done.send(job()).unwrap());
        self.jobs.as_ref().unwrap().send(job).unwrap();
        result.recv().unwrap()
    }
}

impl Drop for PodNetns {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Index of an interface.
pub(crate) fn index(name: &str) -> u32 {
    field(name, "ifindex")
}

/// Index of an interface, and number of the network namespace that its other end is in.
pub(crate) fn link(name: &str) -> (u32, u32) {
    (index(name), field(name, "link_netnsid"))
}

fn field(name: &str, field: &str) -> u32 {
    let output = Command::new("ip").args(["-json", "link", "show", name]).output().unwrap();
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    u32::try_from(links[0][field].as_u64().unwrap()).unwrap()
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}: {status}");
}
