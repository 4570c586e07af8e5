//! Which Service a frontend belongs to when several ask for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

use super::{Frontend, Protocol, Service, ServiceRef};

/// Claims in the order of their strength: the older Service wins, then the first by namespace and name. One without a
/// `creationTimestamp` counts as the youngest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Claim {
    created: i64,
    service: ServiceRef,
}

impl Claim {
    fn of(service: &Service) -> Self {
        Self { created: service.created.unwrap_or(i64::MAX), service: service.id.clone() }
    }
}

/// A frontend that two Services ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflict {
    /// The frontend, as the loser asks for it.
    pub frontend: Frontend,
    /// The Service that has it: the older one, then the first by namespace and name.
    pub winner: ServiceRef,
    /// Whether it is the older one; else their `creationTimestamp` is the same, or neither has one.
    pub winner_is_older: bool,
    /// The Service that goes without it.
    pub loser: ServiceRef,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frontend, winner, winner_is_older, loser } = self;
        let because = if *winner_is_older { "older" } else { "as old and the first by name" };
        write!(
            f,
            "Service {loser}: {frontend} belongs to Service {winner}, which is {because}; it is not served for {loser}"
        )
    }
}

/// Every Service's claims on frontends.
#[derive(Default, Debug)]
pub(super) struct Claims {
    by_frontend: HashMap<(IpAddr, u16, Protocol), BTreeMap<Claim, Frontend>>,
    contested: BTreeSet<(IpAddr, u16, Protocol)>,
}

impl Claims {
    /// Notes what `service` asks for; returns the other Services that ask for one of these too.
    pub(super) fn add(&mut self, service: &Service) -> BTreeSet<ServiceRef> {
        let claim = Claim::of(service);
        let mut rivals = BTreeSet::new();
        for frontend in service.all_frontends() {
            let claims = self.by_frontend.entry(frontend.key()).or_default();
            rivals.extend(claims.keys().filter(|it| it.service != service.id).map(|it| it.service.clone()));
            claims.insert(claim.clone(), frontend);
            if claims.len() > 1 {
                self.contested.insert(frontend.key());
            }
        }
        rivals
    }

    /// Forgets what `service` asked for; returns the other Services that ask for one of these too.
    pub(super) fn remove(&mut self, service: &Service) -> BTreeSet<ServiceRef> {
        let claim = Claim::of(service);
        let mut rivals = BTreeSet::new();
        for frontend in service.all_frontends() {
            let Some(claims) = self.by_frontend.get_mut(&frontend.key()) else { continue };
            claims.remove(&claim);
            rivals.extend(claims.keys().map(|it| it.service.clone()));
            if claims.len() < 2 {
                self.contested.remove(&frontend.key());
            }
            if claims.is_empty() {
                self.by_frontend.remove(&frontend.key());
            }
        }
        rivals
    }

    /// Whether `service` is the one that has `frontend`.
    pub(super) fn is_winner(&self, service: &ServiceRef, frontend: &Frontend) -> bool {
        let winner = self.by_frontend.get(&frontend.key()).and_then(|claims| claims.keys().next());
        winner.is_some_and(|claim| claim.service == *service)
    }

    /// Every lost claim.
    pub(super) fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.contested.iter().filter_map(|key| self.by_frontend.get(key)).flat_map(|claims| {
            let winner = claims.keys().next();
            claims.iter().skip(1).filter_map(move |(claim, frontend)| {
                let winner = winner?;
                Some(Conflict {
                    frontend: *frontend,
                    winner: winner.service.clone(),
                    winner_is_older: winner.created < claim.created,
                    loser: claim.service.clone(),
                })
            })
        })
    }
}
