//! One Event, and how it is written.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use http::StatusCode;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{self as core, ObjectReference};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::{Api, Client};

use crate::complaint::{Complaint, Reason};
use crate::model::{Kind, ObjectRef};

/// Who reports.
const CONTROLLER: &str = "sluice.dev/agent";
/// The API server refuses a longer `note` (bytes).
const NOTE: usize = 1024;
/// Of the object's name in the Event's, which has no room for all of the longest ones and the rest (bytes).
const NAME: usize = 200;

/// What an Event says.
#[derive(Debug)]
pub(super) struct Said {
    /// What it is about; this Node, without one.
    object: Option<ObjectRef>,
    kind: &'static str,
    reason: String,
    action: &'static str,
    text: String,
    /// Every node says the same, and one Event is enough for all.
    everywhere: bool,
    /// What makes it another Event than one of the same words.
    occasion: Option<Timestamp>,
}

impl Said {
    /// The agent starts (rule 9.16).
    pub(super) fn start() -> Self {
        Self {
            object: None,
            kind: "Normal",
            reason: "Starting".into(),
            action: "StartKubeProxy",
            text: concat!("sluice agent ", env!("CARGO_PKG_VERSION")).into(),
            everywhere: false,
            occasion: Some(Timestamp::now()),
        }
    }

    pub(super) fn complaint(Complaint { object, reason, text }: &Complaint) -> Self {
        let mut end = text.len().min(NOTE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            object: object.clone(),
            kind: "Warning",
            reason: reason.to_string(),
            action: reason.action(),
            text: text[..end].to_owned(),
            everywhere: Reason::is_everywhere(*reason),
            occasion: None,
        }
    }
}

/// Where Events are written, and by whom.
pub(super) struct Events {
    client: Client,
    node_name: String,
}

impl Events {
    pub(super) fn new(client: Client, node_name: &str) -> Self {
        Self { client, node_name: node_name.to_owned() }
    }

    /// Writes an Event, unless it is there: its name is made of what it says, so that an agent that starts again, and for
    /// what every node says another one, finds it. Of an object that isn't there, nothing is said.
    pub(super) async fn publish(&self, said: &Said) -> kube::Result<()> {
        let Some(regarding) = self.reference(said.object.as_ref()).await? else { return Ok(()) };
        // Events of objects without a namespace are in this one.
        let namespace = regarding.namespace.clone().unwrap_or_else(|| "default".into());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(self.name(said, &regarding)),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(Timestamp::now())),
            regarding: Some(regarding),
            type_: Some(said.kind.into()),
            reason: Some(said.reason.clone()),
            action: Some(said.action.into()),
            note: Some(said.text.clone()),
            reporting_controller: Some(CONTROLLER.into()),
            reporting_instance: Some(self.node_name.clone()),
            ..Event::default()
        };
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        match events.create(&PostParams::default(), &event).await {
            Err(kube::Error::Api(status)) if status.code == StatusCode::CONFLICT => Ok(()),
            done => done.map(drop),
        }
    }

    fn name(&self, said: &Said, regarding: &ObjectReference) -> String {
        let mut hasher = DefaultHasher::new();
        (&regarding.uid, &said.reason, &said.text, said.occasion).hash(&mut hasher);
        (!said.everywhere).then_some(&self.node_name).hash(&mut hasher);
        let name = regarding.name.as_deref().unwrap_or_default();
        // Names are ASCII.
        format!("{}.{:016x}", name.get(..NAME).unwrap_or(name), hasher.finish())
    }

    /// The object as `kubectl describe` looks for it, by uid; `None` if it is gone.
    async fn reference(&self, object: Option<&ObjectRef>) -> kube::Result<Option<ObjectReference>> {
        let node = ObjectRef { kind: Kind::Node, namespace: String::new(), name: self.node_name.clone() };
        let object = object.unwrap_or(&node);
        let resource = resource(object.kind);
        let namespace = Some(object.namespace.clone()).filter(|namespace| !namespace.is_empty());
        // By what a kubelet and kube-proxy say, the uid of a Node in an Event is its name.
        let uid = if object.kind == Kind::Node {
            Some(object.name.clone())
        } else {
            self.uid(object, &resource, namespace.as_deref()).await?
        };
        Ok(uid.map(|uid| ObjectReference {
            api_version: Some(resource.api_version),
            kind: Some(resource.kind),
            namespace,
            name: Some(object.name.clone()),
            uid: Some(uid),
            ..ObjectReference::default()
        }))
    }

    /// Asked for by a list, which takes no right that the agent doesn't have anyway, and from the API server's cache.
    async fn uid(
        &self,
        object: &ObjectRef,
        resource: &ApiResource,
        namespace: Option<&str>,
    ) -> kube::Result<Option<String>> {
        let client = self.client.clone();
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, resource),
            None => Api::all_with(client, resource),
        };
        let by_name = ListParams::default().match_any().fields(&format!("metadata.name={}", object.name));
        let found = api.list_metadata(&by_name).await?;
        Ok(found.items.into_iter().find_map(|it| it.metadata.uid))
    }
}

fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::Namespace => ApiResource::erase::<core::Namespace>(&()),
        Kind::Node => ApiResource::erase::<core::Node>(&()),
        Kind::Pod => ApiResource::erase::<core::Pod>(&()),
        Kind::Service => ApiResource::erase::<core::Service>(&()),
        Kind::Endpoints => ApiResource::erase::<core::Endpoints>(&()),
        Kind::EndpointSlice => ApiResource::erase::<EndpointSlice>(&()),
        Kind::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
    }
}
