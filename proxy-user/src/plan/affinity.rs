//! Session affinity of a Service port, as its frontends have it.

use proxy_common::tables::Service;

/// Time-out and generation, the same in every frontend of a Service port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Affinity {
    /// Seconds; 0 for no affinity.
    pub(super) timeout: u32,
    /// How often it was switched on. Stays in the table while it is off, where the next agent finds it.
    pub(super) generation: u32,
}

impl Affinity {
    /// What the frontends `services` tell that were found. One that is off under the latest generation says that
    /// switching off had begun, when the agent was killed: clients may have gone elsewhere since.
    pub(super) fn adopt<'a>(services: impl Iterator<Item = &'a Service> + Clone) -> Self {
        let generation = services.clone().map(|service| service.affinity_generation).max().unwrap_or(0);
        let latest = services.filter(|service| service.affinity_generation == generation);
        Self { timeout: latest.map(|service| service.affinity_timeout).min().unwrap_or(0), generation }
    }

    /// The same with another time-out; a new generation where that switches it on.
    pub(super) const fn with_timeout(self, timeout: u32) -> Self {
        let switched_on = self.timeout == 0 && timeout != 0;
        Self { timeout, generation: self.generation.wrapping_add(switched_on as u32) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(frontends: &[(u32, u32)]) -> Affinity {
        let service = |(timeout, generation)| Service {
            affinity_timeout: timeout,
            affinity_generation: generation,
            ..Service::default()
        };
        let services: Vec<_> = frontends.iter().copied().map(service).collect();
        Affinity::adopt(services.iter())
    }

    #[test]
    fn the_generation_grows_with_each_switching_on_and_stays_while_it_is_off() {
        let generations: Vec<_> = [10, 20, 0, 0, 10]
            .into_iter()
            .scan(Affinity::default(), |affinity, timeout| {
                *affinity = affinity.with_timeout(timeout);
                Some(affinity.generation)
            })
            .collect();
        assert_eq!(generations, [1, 1, 1, 1, 2]);
    }

    #[test]
    fn a_switching_on_that_was_begun_is_gone_on_with() {
        assert_eq!(found(&[(10, 3), (0, 2)]).with_timeout(10), Affinity { timeout: 10, generation: 3 });
    }

    #[test]
    fn a_switching_off_that_was_begun_counts_as_done() {
        assert_eq!(found(&[(10, 3), (0, 3)]).with_timeout(10), Affinity { timeout: 10, generation: 4 });
    }
}
