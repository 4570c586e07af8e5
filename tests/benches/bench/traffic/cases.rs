//! What is measured on each path.

use std::fmt;

use lab::figures::Measure;
use lab::traffic::{Load, Metered};

use crate::stand::Path;

/// A figure in what a client saw.
type Reading = fn(&Metered) -> f64;

/// A load on a path, and the figures it gives.
pub(super) struct Case {
    pub(super) path: Path,
    pub(super) load: Load,
    pub(super) measures: &'static [(Measure, Reading)],
    name: &'static str,
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

/// The same loads on each path.
macro_rules! cases {
    ($path:expr, $name:literal) => {
        [
            Case {
                path: $path,
                load: Load::Connect,
                name: concat!("connect, ", $name),
                measures: &[
                    (Measure::less(concat!("connect, ", $name, ", p50"), "us"), |it| it.micros[0]),
                    (Measure::less(concat!("connect, ", $name, ", p90"), "us"), |it| it.micros[1]),
                    (Measure::less(concat!("connect, ", $name, ", p99"), "us"), |it| it.micros[2]),
                ],
            },
            Case {
                path: $path,
                load: Load::Short,
                name: concat!("short connections, ", $name),
                measures: &[
                    (Measure::more(concat!("short connections, ", $name), "1/s"), per_second),
                    (Measure::less(concat!("short connections, ", $name, ", p50"), "us"), |it| it.micros[0]),
                ],
            },
            Case {
                path: $path,
                load: Load::Request,
                name: concat!("TCP request-response, ", $name),
                measures: &[
                    (Measure::more(concat!("TCP request-response, ", $name), "1/s"), per_second),
                    (Measure::less(concat!("TCP request-response, ", $name, ", p50"), "us"), |it| it.micros[0]),
                    (Measure::less(concat!("TCP request-response, ", $name, ", p99"), "us"), |it| it.micros[2]),
                ],
            },
            Case {
                path: $path,
                load: Load::Bulk,
                name: concat!("bulk, ", $name),
                measures: &[(Measure::more(concat!("bulk, ", $name), "Gbit/s"), |it| per_second(it) * 8e-9)],
            },
            Case {
                path: $path,
                load: Load::Datagram,
                name: concat!("UDP request-response, ", $name),
                measures: &[
                    (Measure::more(concat!("UDP request-response, ", $name), "1/s"), per_second),
                    (Measure::less(concat!("UDP request-response, ", $name, ", p50"), "us"), |it| it.micros[0]),
                ],
            },
            Case {
                path: $path,
                load: Load::NewDatagram,
                name: concat!("UDP request on a new socket, ", $name),
                measures: &[
                    (Measure::more(concat!("UDP request on a new socket, ", $name), "1/s"), per_second),
                    (Measure::less(concat!("UDP request on a new socket, ", $name, ", p50"), "us"), |it| it.micros[0]),
                ],
            },
        ]
    };
}

/// Every case.
pub(super) const CASES: [[Case; 6]; 3] = [
    cases!(Path::ClusterIp, "ClusterIP"),
    cases!(Path::NodePortLocal, "NodePort, local endpoint"),
    cases!(Path::NodePortRemote, "NodePort, remote endpoint"),
];

#[expect(clippy::cast_precision_loss, reason = "what is done in a second is far below 2^53")]
fn per_second(metered: &Metered) -> f64 {
    metered.count as f64 / metered.seconds
}
