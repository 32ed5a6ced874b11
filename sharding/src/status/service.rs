//! What a request is answered with: the cluster as its handle shows it, the entities as their view does.
//!
//! It changes nothing but by handing on an action whose token was right; it never waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::documents::{
    AcceptedDocument, HealthDocument, LeaderDocument, MemberDocument, MembersDocument,
    NodeDocument, OwnerDocument, PlaceDocument, ShardDocument, ShardsDocument, TypeDocument,
    TypesDocument,
};
use super::page;
use super::refusal::Refusal;
use super::request::{Method, Request};
use super::response::Response;
use super::route::{Action, Route, route};
use super::shards_view::{ShardRequestError, ShardView, ShardsView, TypeView};
use super::token::Token;
use crate::cluster::{ClusterHandle, MemberView};
use crate::membership::Status;

/// See the [module](self).
pub(super) struct Service {
    pub cluster: ClusterHandle,
    pub shards: Option<Arc<dyn ShardsView>>,
    pub token: Option<Token>,
    /// The name of the node and how many cores it has, if it is known.
    pub node: Option<(String, u16)>,
}

impl Service {
    /// Answers a request.
    pub fn answer(&self, request: &Request) -> Response {
        let response = route(request, || self.may_act(request))
            .and_then(|route| self.follow(route))
            .unwrap_or_else(|refusal| Response::refused(&refusal));
        match request.method {
            Method::Head => response.head_only(),
            _ => response,
        }
    }

    fn may_act(&self, request: &Request) -> Result<(), Refusal> {
        let token = self.token.as_ref().ok_or(Refusal::NoActions)?;
        match &request.bearer {
            Some(sent) if token.is(sent) => Ok(()),
            _ => Err(Refusal::WrongToken),
        }
    }

    fn follow(&self, route: Route) -> Result<Response, Refusal> {
        Ok(match route {
            Route::Page => Response::page(page::page(&self.node(), &self.members(), &self.types())),
            Route::Node => Response::document(&self.node()),
            Route::Members => Response::document(&self.members()),
            Route::Types => Response::document(&self.types()),
            Route::Shards { entity_type } => Response::document(&self.shards_of(entity_type)?),
            Route::Ready => match self.not_ready() {
                None => Response::document(&HealthDocument { is_well: true, why_not: None }),
                why_not => Response::unavailable(&HealthDocument { is_well: false, why_not }),
            },
            Route::Alive => Response::document(&HealthDocument { is_well: true, why_not: None }),
            Route::Action(action) => Response::accepted(&self.act(action)?),
        })
    }

    fn act(&self, action: Action) -> Result<AcceptedDocument, Refusal> {
        let shards = || self.shards.as_ref().ok_or(ShardRequestError::NoEntities);
        let accepted = match &action {
            Action::Leave { incarnation } => {
                self.cluster.leave_member(*incarnation)?;
                format!("the member {incarnation} is asked to leave")
            }
            Action::Down { incarnation } => {
                self.cluster.down(*incarnation)?;
                format!("the member {incarnation} is given up")
            }
            Action::Move { entity_type, shard, to } => {
                shards()?.move_shard(entity_type, *shard, *to)?;
                let (incarnation, core) = (to.incarnation, to.core);
                format!("shard {shard} of {entity_type} is to move to {incarnation}/{core}")
            }
            Action::Rebalance { entity_type } => {
                shards()?.rebalance(entity_type.as_deref())?;
                let whose = entity_type.as_deref().unwrap_or("all types");
                format!("the shards of {whose} are to be balanced")
            }
        };
        tracing::info!(?action, "an action was asked for over HTTP");
        Ok(AcceptedDocument { accepted })
    }

    /// Why this node should get no requests; none if it may.
    fn not_ready(&self) -> Option<String> {
        if let Some(reason) = self.cluster.stopping() {
            return Some(reason.to_string());
        }
        match self.cluster.this().map(|this| this.status) {
            Some(Status::Up) => self.shards.as_ref().and_then(|shards| shards.not_ready()),
            Some(status) => Some(format!("this node is {status}")),
            None => Some(match self.cluster.refusal() {
                Some(refusal) => format!("this node is no member yet; a seed says: {refusal}"),
                None => "this node is no member yet".to_owned(),
            }),
        }
    }

    fn node(&self) -> NodeDocument {
        let members = self.cluster.members();
        let (leader, this) = (self.cluster.leader(), self.cluster.this());
        let leads = leader.as_ref().map(|leader| leader.incarnation);
        let own = this.as_ref().map(|this| this.incarnation);
        let not_ready_because = self.not_ready();
        NodeDocument {
            name: self.node.as_ref().map(|(name, _)| name.clone()),
            cores: self.node.as_ref().map(|(_, cores)| *cores),
            mainspring_version: env!("CARGO_PKG_VERSION").to_owned(),
            member: this.as_ref().map(|this| member_document(this, leads, own)),
            leader: leader.map(|leader| LeaderDocument {
                incarnation: leader.incarnation.to_string(),
                address: leader.address,
            }),
            members: members.len(),
            unreachable_members: members.iter().filter(|member| !member.is_reachable).count(),
            is_ready: not_ready_because.is_none(),
            not_ready_because,
            refusal: self.cluster.refusal(),
            stopping: self.cluster.stopping().map(|reason| reason.to_string()),
        }
    }

    fn members(&self) -> MembersDocument {
        let leads = self.cluster.leader().map(|leader| leader.incarnation);
        let own = self.cluster.this().map(|this| this.incarnation);
        let members = self.cluster.members();
        let members = members.iter().map(|member| member_document(member, leads, own)).collect();
        MembersDocument { members }
    }

    fn types(&self) -> TypesDocument {
        let addresses = self.addresses();
        let types = self.shards.as_ref().map(|shards| shards.types()).unwrap_or_default();
        TypesDocument { types: types.iter().map(|view| in_short(view, &addresses)).collect() }
    }

    fn shards_of(&self, entity_type: String) -> Result<ShardsDocument, Refusal> {
        let types = self.shards.as_ref().ok_or(ShardRequestError::NoEntities)?.types();
        let Some(view) = types.into_iter().find(|view| view.name == entity_type) else {
            return Err(ShardRequestError::UnknownType { entity_type }.into());
        };
        let addresses = self.addresses();
        let owner = |view: ShardView| OwnerDocument {
            address: addresses.get(&view.place.incarnation).cloned(),
            incarnation: view.place.incarnation.to_string(),
            core: view.place.core,
            epoch: view.epoch.0,
        };
        let shards = view.shards.into_iter().enumerate();
        let shards =
            shards.map(|(shard, view)| ShardDocument { shard, owner: view.map(owner) }).collect();
        Ok(ShardsDocument { name: view.name, shards })
    }

    /// Of the members, by incarnation.
    fn addresses(&self) -> BTreeMap<u64, String> {
        let members = self.cluster.members().into_iter();
        members.map(|member| (member.incarnation, member.address)).collect()
    }
}

fn member_document(member: &MemberView, leads: Option<u64>, own: Option<u64>) -> MemberDocument {
    MemberDocument {
        address: member.address.clone(),
        incarnation: member.incarnation.to_string(),
        status: member.status.to_string(),
        is_reachable: member.is_reachable,
        roles: member.roles.clone(),
        app_version: member.app_version.clone(),
        up_number: member.up_number,
        is_leader: leads == Some(member.incarnation),
        is_this_node: own == Some(member.incarnation),
    }
}

fn in_short(view: &TypeView, addresses: &BTreeMap<u64, String>) -> TypeDocument {
    let mut places = BTreeMap::new();
    for shard in view.shards.iter().flatten() {
        *places.entry(shard.place).or_insert(0) += 1;
    }
    let places = places.into_iter().map(|(place, shards)| PlaceDocument {
        address: addresses.get(&place.incarnation).cloned(),
        incarnation: place.incarnation.to_string(),
        core: place.core,
        shards,
    });
    TypeDocument {
        name: view.name.clone(),
        shards: view.shards.len(),
        unowned: view.shards.iter().filter(|shard| shard.is_none()).count(),
        places: places.collect(),
    }
}
