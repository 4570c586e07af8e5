use super::*;
use crate::family::Family;

const POD_AND_SERVICE: &str = "
kind: Pod
metadata: {name: web-1, labels: {app: web}}
spec:
  nodeName: node1
  containers:
  - ports: [{containerPort: 8080}, {containerPort: 53, protocol: UDP}]
status:
  podIPs: [{ip: 10.244.1.10}, {ip: 'fd00:10:244:1::10'}]
  conditions: [{type: Initialized, status: 'True'}, {type: Ready, status: 'True'}]
---
kind: Service
metadata: {name: web}
spec:
  clusterIPs: [10.96.0.10, 'fd00:10:96::10']
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{port: 80, nodePort: 30080}]
";

fn manifests(text: &str) -> (tempfile::TempDir, Manifests) {
    let dir = tempfile::tempdir().unwrap();
    let manifests = Manifests::new(dir.path().into());
    manifests.write("all.yaml", text).unwrap();
    (dir, manifests)
}

#[test]
fn pods_and_services_are_read_from_one_file() {
    let (_dir, manifests) = manifests(POD_AND_SERVICE);
    let pod = manifests.pods().unwrap().remove(0);
    assert_eq!(pod.addresses().unwrap().of(Family::V6).to_string(), "fd00:10:244:1::10");
    assert_eq!((pod.tcp_ports(), pod.udp_ports()), (vec![8080], vec![53]));
    let service = manifests.service("web").unwrap();
    assert_eq!(service.cluster_ip(Family::V6).unwrap().to_string(), "[fd00:10:96::10]:80");
    assert!(service.selects(&pod) && service.is_external_local());
}

#[test]
fn readiness_flips_and_nothing_else_changes() {
    let (_dir, manifests) = manifests(POD_AND_SERVICE);
    manifests.set_ready("web-1", false).unwrap();
    assert!(!manifests.pods().unwrap()[0].is_ready());
    manifests.set_ready("web-1", true).unwrap();
    let after = documents(&manifests.dir().join("all.yaml")).unwrap();
    let before: Vec<_> =
        Deserializer::from_str(POD_AND_SERVICE).map(|document| Value::deserialize(document).unwrap()).collect();
    assert_eq!(after, before);
}

#[test]
fn errors_name_file_object_and_field() {
    let (_dir, manifests) = manifests("kind: Pod\nmetadata: {name: web-1}\nspec: {}\n");
    let error = manifests.pods().unwrap_err().to_string();
    assert!(error.contains("all.yaml: Pod web-1: ") && error.contains("nodeName"), "{error}");
    let error = manifests.set_ready("web-1", true).unwrap_err().to_string();
    assert!(error.contains("all.yaml: Pod web-1: it lacks the field"), "{error}");
}
