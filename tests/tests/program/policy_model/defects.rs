//! Policies that the API server would refuse: what is wrong with them is told, and opens nothing.

use lab::policy::{Objects, generate, verdict};
use proxy_user::model::{Change, Object};
use proxy_user::objects::manifest;

use super::cluster::Cluster;
use super::plain::denied;

#[test]
fn a_defect_is_told_and_opens_nothing() {
    for seed in 0..500 {
        let case = generate::case(seed);
        let objects = Objects::new(&case.objects);
        let Some(spoilt) = generate::defective(seed, &case.objects) else { continue };
        let only_nodes = Objects { nodes: objects.nodes.clone(), ..Objects::default() };
        let mut cluster = Cluster::new(&only_nodes, case.settings).unwrap();
        let mut defects = 0;
        for object in spoilt {
            let object = manifest::object(object).unwrap().unwrap();
            if let Object::NetworkPolicy(policy) = &object {
                defects += policy.defects.len();
            }
            let change = Change::Apply(object);
            cluster.nodes.iter_mut().for_each(|node| node.policies.apply(&change));
        }
        assert!(defects > 0, "seed {seed}: nothing is told");
        cluster.update().unwrap();
        for connection in case.connections {
            let meant = verdict(&objects, case.settings, connection);
            let said = denied(&cluster, connection);
            assert!(said || meant.is_allowed(), "seed {seed}: {connection} passes, and was meant not to: {meant}");
        }
    }
}
