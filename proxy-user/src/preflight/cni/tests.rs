use super::*;

fn node(plugins: &[&str], interfaces: &[&str], pins: &[(&'static str, &str)]) -> Evidence {
    let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    Evidence {
        configuration: (!plugins.is_empty()).then(|| ("/etc/cni/net.d/10.conflist".into(), strings(plugins))),
        interfaces: strings(interfaces),
        pins: pins.iter().map(|(directory, name)| (*directory, vec![(*name).to_owned()])).collect(),
    }
}

#[test]
fn plugins_that_can_be_served_are_named_and_pass() {
    for plugins in [&["bridge", "portmap"][..], &["ptp"], &["flannel", "portmap"], &["calico"], &["aws-cni"]] {
        let check = judge(&node(plugins, &["lo", "eth0", "cni0", "flannel.1", "vxlan.calico", "eni1a2b"], &[]));
        assert_eq!(check.outcome, Outcome::Ok, "{plugins:?}");
        assert!(check.found.contains(plugins[0]), "{}", check.found);
    }
    assert_eq!(judge(&Evidence::default()).outcome, Outcome::Ok);
}

#[test]
fn plugins_that_cannot_be_served_fail_by_name_whatever_sign_there_is() {
    let rows = [
        ("Cilium", node(&["cilium-cni"], &[], &[])),
        ("Cilium", node(&["bridge"], &["lo", "cilium_host"], &[])),
        ("Cilium", node(&[], &[], &[("tc/globals", "cilium_lb4_services_v2")])),
        ("Calico's eBPF dataplane", node(&["calico"], &["bpfin.cali"], &[])),
        ("Calico's eBPF dataplane", node(&["calico"], &[], &[("tc/globals", "cali_v4_nat_fe3")])),
        ("Antrea", node(&["antrea"], &[], &[])),
        ("Kube-OVN", node(&[], &["ovn0"], &[])),
        ("OVN-Kubernetes", node(&[], &["ovn-k8s-mp0"], &[])),
        ("macvlan", node(&["macvlan"], &[], &[])),
        ("ipvlan", node(&["ipvlan"], &[], &[])),
        ("SR-IOV", node(&["sriov"], &[], &[])),
    ];
    for (plugin, evidence) in rows {
        let check = judge(&evidence);
        assert_eq!((check.outcome, check.mend.is_some()), (Outcome::Fail, true), "{evidence:?}");
        assert!(check.found.starts_with(plugin), "{}", check.found);
    }
}

#[test]
fn a_second_enforcer_of_policies_is_a_warning() {
    let check = judge(&node(&["aws-cni"], &["eth0"], &[("globals/aws", "programs")]));
    assert_eq!(check.outcome, Outcome::Warn);
}

#[test]
fn the_first_configuration_by_name_counts_as_for_the_runtime() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("00-readme.txt", "not JSON");
    write("20-other.conf", r#"{"type": "macvlan"}"#);
    write("10-flannel.conflist", r#"{"name": "cbr0", "plugins": [{"type": "flannel"}, {"type": "portmap"}]}"#);
    let (file, types) = first_configuration(directory.path()).unwrap();
    assert!(file.ends_with("10-flannel.conflist"), "{file}");
    assert_eq!(types, ["flannel", "portmap"]);
    write("05-single.conf", r#"{"type": "ptp"}"#);
    assert_eq!(first_configuration(directory.path()).unwrap().1, ["ptp"]);
}

#[test]
fn pins_are_found_where_the_bpf_file_system_has_them() {
    let bpffs = tempfile::tempdir().unwrap();
    fs::create_dir_all(bpffs.path().join("tc/globals/cilium_ct4_global")).unwrap();
    let check = judge(&Evidence::of_this_node(Path::new("/nonexistent"), bpffs.path()));
    assert!(check.found.contains("tc/globals/cilium_ct4_global"), "{}", check.found);
}
