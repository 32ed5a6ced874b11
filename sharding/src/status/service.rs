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
use super::entities_view::EntitiesView;
use super::page;
use super::refusal::Refusal;
use super::request::{Method, Request};
use super::response::Response;
use super::route::{Action, Route, route};
use super::token::Token;
use crate::cluster::{ClusterHandle, ClusterRequestError, MemberView};
use crate::membership::Status;
use crate::node::{ShardHome, ShardRequestError, TypeShards};
use crate::ownership::Place;

/// See the [module](self).
pub(super) struct Service {
    pub cluster: ClusterHandle,
    pub entities: Option<Arc<dyn EntitiesView>>,
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
                self.move_shard(entity_type, *shard, *to)?;
                let (incarnation, core) = (to.incarnation, to.core);
                format!("shard {shard} of {entity_type} is to move to {incarnation}/{core}")
            }
            Action::Rebalance { entity_type } => {
                self.rebalance(entity_type.as_deref())?;
                let whose = entity_type.as_deref().unwrap_or("all types");
                format!("the shards of {whose} are to be balanced")
            }
        };
        tracing::info!(?action, "an action was asked for over HTTP");
        Ok(AcceptedDocument { accepted })
    }

    fn entities(&self) -> Result<&dyn EntitiesView, Refusal> {
        self.entities.as_deref().ok_or(Refusal::NoEntities)
    }

    /// Whether the core is there is seen when the shard is to move.
    fn move_shard(&self, entity_type: &str, shard: u32, to: Place) -> Result<(), Refusal> {
        let entities = self.entities()?;
        let Place { incarnation, .. } = to;
        if !self.cluster.members().iter().any(|member| member.incarnation == incarnation) {
            return Err(ClusterRequestError::UnknownMember { incarnation }.into());
        }
        Ok(entities.move_shard(entity_type, shard, to)?)
    }

    /// Those before one that is refused are balanced; asking again does no harm.
    fn rebalance(&self, entity_type: Option<&str>) -> Result<(), Refusal> {
        let entities = self.entities()?;
        if let Some(entity_type) = entity_type {
            return Ok(entities.rebalance(entity_type)?);
        }
        for one in entities.shards() {
            entities.rebalance(&one.entity_type)?;
        }
        Ok(())
    }

    /// Why this node should get no requests; none if it may.
    fn not_ready(&self) -> Option<String> {
        if let Some(reason) = self.cluster.stopping() {
            return Some(reason.to_string());
        }
        match self.cluster.this().map(|this| this.status) {
            Some(Status::Up) => {
                let readiness = self.entities.as_ref().map(|entities| entities.readiness());
                readiness.filter(|readiness| !readiness.is_ready()).map(|it| it.to_string())
            }
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
        let types = self.entities.as_ref().map(|entities| entities.shards()).unwrap_or_default();
        TypesDocument { types: types.iter().map(in_short).collect() }
    }

    fn shards_of(&self, entity_type: String) -> Result<ShardsDocument, Refusal> {
        let mut types = self.entities()?.shards().into_iter();
        let Some(found) = types.find(|one| one.entity_type == entity_type) else {
            return Err(ShardRequestError::UnknownType { entity_type }.into());
        };
        let owner = |home: ShardHome| OwnerDocument {
            address: home.address,
            incarnation: home.place.incarnation.to_string(),
            core: home.place.core,
            epoch: home.epoch,
        };
        let shards = found.shards.into_iter().enumerate();
        let shards =
            shards.map(|(shard, home)| ShardDocument { shard, owner: home.map(owner) }).collect();
        Ok(ShardsDocument { name: found.entity_type, shards })
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

fn in_short(shown: &TypeShards) -> TypeDocument {
    let mut places = BTreeMap::new();
    for home in shown.shards.iter().flatten() {
        let (_, shards) = places.entry(home.place).or_insert((home.address.clone(), 0));
        *shards += 1;
    }
    let places = places.into_iter().map(|(place, (address, shards))| PlaceDocument {
        address,
        incarnation: place.incarnation.to_string(),
        core: place.core,
        shards,
    });
    TypeDocument {
        name: shown.entity_type.clone(),
        shards: shown.shards.len(),
        unowned: shown.shards.iter().filter(|home| home.is_none()).count(),
        places: places.collect(),
    }
}
