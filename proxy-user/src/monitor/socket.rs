//! The socket that listeners come by.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockAddr, Type};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use super::{Line, Listeners, Pods, Wanted};

/// How long a listener has to say what it wants, and the agent to find the names of Pods.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of what it says.
const REQUEST: u64 = 4096;
/// How long after a connection that couldn't be taken the next one is tried.
const PAUSE: Duration = Duration::from_millis(100);

/// A file that listeners connect to; removed when dropped.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
}

impl Socket {
    /// Lets listeners in at `path`, in the place of whatever an earlier agent left there. Only the agent's own user may.
    pub fn open(path: &Path, listeners: Arc<Listeners>, pods: Arc<Pods>) -> io::Result<Self> {
        let socket = bind(path)?;
        tokio::spawn(accept(socket, listeners, pods));
        Ok(Self { path: path.into() })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), "{error}");
        }
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before anybody can connect.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(64)?;
    socket.set_nonblocking(true)?;
    UnixListener::from_std(StdListener::from(socket))
}

async fn accept(socket: UnixListener, listeners: Arc<Listeners>, pods: Arc<Pods>) {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                let (listeners, pods) = (listeners.clone(), pods.clone());
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &listeners, &pods).await {
                        tracing::debug!("a listener has gone: {error}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!("a listener can't be let in: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

/// One listener, until it goes or the agent ends.
async fn serve(stream: UnixStream, listeners: &Arc<Listeners>, pods: &Pods) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading.take(REQUEST));
    let mut line = String::new();
    timeout(PATIENCE, reading.read_line(&mut line)).await??;
    let place = serde_json::from_str::<Wanted>(&line)
        .map_err(|error| format!("this agent doesn't understand what is asked for ({error}): it is of another version"))
        .and_then(|wanted| Ok((wanted, listeners.enter().map_err(|error| error.to_string())?)));
    let (wanted, place) = match place {
        Ok(place) => place,
        Err(error) => return writing.write_all(Line::Refused { error }.to_text().as_bytes()).await,
    };
    if timeout(PATIENCE, pods.filled()).await.is_err() {
        tracing::debug!("a listener begins without the names of Pods: the agent is busy");
    }
    let mut heard = place.listen(wanted);
    let mut rest = [0; 16];
    loop {
        tokio::select! {
            line = heard.recv() => match line {
                Some(line) => writing.write_all(line.as_bytes()).await?,
                None => return Ok(()),
            },
            // It has nothing more to say: what can be read is its end.
            read = reading.read(&mut rest) => if read? == 0 { return Ok(()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use proxy_common::event::Listening;

    use super::super::line::tests::verdict;
    use super::*;

    fn nobody() -> Arc<Listeners> {
        Arc::new(Listeners::new(1, |_: Listening| {}))
    }

    /// A socket, whose Pods are known.
    fn open(path: &Path) -> (Socket, Arc<Listeners>) {
        let (listeners, pods) = (nobody(), Arc::new(Pods::default()));
        pods.fill(std::iter::empty());
        (Socket::open(path, listeners.clone(), pods).unwrap(), listeners)
    }

    async fn ask(path: &Path, request: &str) -> tokio::io::Lines<BufReader<UnixStream>> {
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        BufReader::new(stream).lines()
    }

    async fn until(occupied: bool, listeners: &Listeners) {
        let mut now = listeners.occupied();
        timeout(PATIENCE, now.wait_for(|it| *it == occupied)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_listener_hears_from_its_request_until_the_agent_ends() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("monitor.sock");
        let (_socket, listeners) = open(&path);
        let mut heard = ask(&path, "{}\n").await;
        until(true, &listeners).await;
        // Its place is taken before it listens.
        let first = loop {
            listeners.tell(verdict());
            if let Ok(line) = timeout(Duration::from_millis(10), heard.next_line()).await {
                break line.unwrap().unwrap();
            }
        };
        assert_eq!(serde_json::from_str::<Line>(&first).unwrap(), Line::Verdict(Box::new(verdict())));
        listeners.close();
        while let Some(line) = timeout(PATIENCE, heard.next_line()).await.unwrap().unwrap() {
            assert_eq!(line, first);
        }
    }

    #[tokio::test]
    async fn a_listener_that_goes_leaves_its_place() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("monitor.sock");
        let (_socket, listeners) = open(&path);
        let heard = ask(&path, "{}\n").await;
        until(true, &listeners).await;
        drop(heard);
        until(false, &listeners).await;
    }

    #[tokio::test]
    async fn what_is_not_understood_is_refused_and_takes_no_place() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("monitor.sock");
        let (_socket, listeners) = open(&path);
        let line = ask(&path, "{\"verdicts\": [\"Delay\"]}\n").await.next_line().await.unwrap().unwrap();
        let Line::Refused { error } = serde_json::from_str(&line).unwrap() else { panic!("{line}") };
        assert!(error.contains("Delay") && error.contains("another version"), "{error}");
        assert!(!*listeners.occupied().borrow());
    }

    #[tokio::test]
    async fn the_socket_is_its_owners_only_replaces_what_a_dead_agent_left_and_goes_with_the_agent() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("monitor.sock");
        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists(), "the kernel leaves the file");
        let (socket, _) = open(&path);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        UnixStream::connect(&path).await.unwrap();
        drop(socket);
        assert!(!path.exists());
    }
}
