//! Values of the programs' map `TAKEOVER`: what of Services is another proxy's, whose rules conntrack goes by.

/// Nothing.
pub const OVER: u32 = 0;
/// Connections that are alive.
pub const CONNECTIONS: u32 = 1;
/// Those, and all that begins: while programs are attached or detached one by one, each flow is wholly the one's or the
/// other's.
pub const ALL: u32 = 2;
