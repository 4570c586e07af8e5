use deploy::*;
#[test] fn smoke(){ let mut v=Values::defaults().unwrap(); v.assign("namespace.create=true").unwrap();
 let r=Release{name:"sluice".into(),namespace:"sluice".into(),service:"Helm".into()};
 for m in r.render(&v).unwrap(){ println!("---\n# {}\n{}",m.template,m.text);} 
 for k in ["podMonitor","prometheusRule","grafanaDashboard"]{ v.assign(&format!("{k}.enabled=true")).unwrap();}
 println!("{:?}", r.render(&v).map(|v|v.len())); }
