//! Builds again when a file of the chart comes or goes; of those there are, the compiler knows.

fn main() {
    println!("cargo:rerun-if-changed=helm/sluice");
}
