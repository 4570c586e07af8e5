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
