//! The stories that need no more than what every API server does, on a real one.

use anyhow::Result;
use lab::api_server::RealApiServer;

use crate::changes::objects_reach_the_kernel_and_leave_it;
use crate::outage::traffic_goes_on_and_status_says_since_when;
use crate::scene::Scene;
use crate::start::an_agent_starts_while_the_server_is_down;

#[test]
#[ignore = "takes etcd and kube-apiserver: cargo xtask test, with KUBEBUILDER_ASSETS"]
fn objects_of_a_real_api_server_reach_the_kernel_and_leave_it() -> Result<()> {
    objects_reach_the_kernel_and_leave_it(&Scene::on(RealApiServer::in_lab)?)
}

#[test]
#[ignore = "takes etcd and kube-apiserver: cargo xtask test, with KUBEBUILDER_ASSETS"]
fn while_a_real_api_server_is_away_traffic_goes_on_and_agents_start() -> Result<()> {
    let mut scene = Scene::on(RealApiServer::in_lab)?;
    traffic_goes_on_and_status_says_since_when(&scene)?;
    an_agent_starts_while_the_server_is_down(&mut scene)
}
