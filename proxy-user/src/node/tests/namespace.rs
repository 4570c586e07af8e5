//! Network namespaces that go away with the test.

use std::{process::Command, sync::mpsc, thread};

/// Moves the calling thread into a new network namespace, which goes away with the thread.
fn enter_new_namespace() {
    // SAFETY: only the network namespace of this thread changes; no file descriptor table is unshared.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
        .expect("tests of interfaces run as root");
}

/// Another network namespace (a pod's, a client's), held by a thread until dropped.
pub(in crate::node) struct Elsewhere {
    /// The thread that holds it, as `ip link set netns` takes it.
    pub(in crate::node) holder: i32,
    release: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Elsewhere {
    pub(in crate::node) fn new() -> Self {
        let (started, holder) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            enter_new_namespace();
            started.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            let _ = released.recv();
        });
        Self { holder: holder.recv().unwrap(), release: Some(release), thread: Some(thread) }
    }

    /// Adds a veth pair whose other end is there.
    pub(in crate::node) fn pair(&self, name: &str) {
        ip(&format!("link add {name} type veth peer name peer-{name} netns {}", self.holder));
    }

    /// Moves an interface from there to the calling thread's namespace.
    pub(in crate::node) fn send_back(&self, name: &str) {
        self.ip(&format!("link set {name} netns {}", rustix::thread::gettid().as_raw_nonzero()));
    }

    /// Runs `ip` with these arguments there.
    pub(in crate::node) fn ip(&self, arguments: &str) {
        run("nsenter", &format!("--net=/proc/{}/ns/net ip {arguments}", self.holder));
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.release.take());
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Runs `ip` with these arguments in the calling thread's namespace.
pub(in crate::node) fn ip(arguments: &str) {
    run("ip", arguments);
}

fn run(program: &str, arguments: &str) {
    let output = Command::new(program).args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a test on a node of its own.
pub(in crate::node) fn on_a_node<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let node = thread::spawn(move || {
        enter_new_namespace();
        ip("link set lo up");
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test());
    });
    if let Err(panic) = node.join() {
        std::panic::resume_unwind(panic);
    }
}
