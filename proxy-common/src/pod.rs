//! Permission for aya to copy the layouts to and from the kernel as bytes.

use crate::addr::Addr;
use crate::event::{Event, Listening};
use crate::tables::{
    Address, Affinity, AffinityKey, Backend, BackendKey, Block, Device, FlowKey, FlowRecord, Fragment, FragmentKey,
    Identity, Member, MemberKey, PodNetwork, PolicyName, Rule, RuleKey, Service, ServiceKey, ServiceName, SetPolicy,
    SocketKey, SocketPeer, SourceRange, previous,
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
    Block,
    Device,
    FlowKey,
    FlowRecord,
    Fragment,
    FragmentKey,
    Identity,
    Listening,
    Event,
    Member,
    MemberKey,
    PodNetwork,
    PolicyName,
    Rule,
    RuleKey,
    Service,
    ServiceKey,
    ServiceName,
    SetPolicy,
    SocketKey,
    SocketPeer,
    SourceRange,
    previous::FlowRecord,
);
