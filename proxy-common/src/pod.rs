//! Permission for aya to copy the layouts to and from the kernel as bytes.

use crate::addr::Addr;
use crate::tables::{
    Address, Affinity, AffinityKey, Backend, BackendKey, Device, FlowKey, FlowRecord, Fragment, FragmentKey, Member,
    MemberKey, Service, ServiceKey, ServiceName, SocketKey, SocketPeer, SourceRange,
};

macro_rules! pod {
    ($($layout:ty),* $(,)?) => {$(
        // SAFETY: the layout is repr(C), has no padding (asserted beside its definition), is Copy, and holds integers
        // only, so every bit pattern is a value.
        unsafe impl aya::Pod for $layout {}
    )*};
}

pod!(
    Addr,
    Address,
    Affinity,
    AffinityKey,
    Backend,
    BackendKey,
    Device,
    FlowKey,
    FlowRecord,
    Fragment,
    FragmentKey,
    Member,
    MemberKey,
    Service,
    ServiceKey,
    ServiceName,
    SocketKey,
    SocketPeer,
    SourceRange,
);
