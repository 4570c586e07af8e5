//! How many files the agent may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many as it may have: each health check port has a socket, and so has each who asks there. The 1,024 that
/// systemd gives at first are for programs that use select(2), which we don't.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays low; raise it where the agent is started (LimitNOFILE=)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_takes_as_many_files_as_it_may_have() {
        let limit = getrlimit(Resource::Nofile);
        let lower = limit.maximum.map(|maximum| maximum - 1);
        setrlimit(Resource::Nofile, Rlimit { current: lower, ..limit }).unwrap();
        raise_limit();
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }
}
