//! Owners: reads, and the two transactions that change one.

use etcd_client::{
    Compare, CompareOp, GetOptions, GetResponse, KeyValue, Txn, TxnOp, TxnOpResponse,
};
use tokio::time::Instant;

use super::control::Control;
use super::failure::Failure;
use super::record::{Key, owner_value, read_owner};
use super::session::Session;
use crate::ownership::verdict::judge;
use crate::ownership::{
    Epoch, Ownership, Place, StoreAnswer, StoreError, StoreRefusal, StoreRequest,
};

/// Records in one answer: far below what one message may hold.
const PAGE: i64 = 1_000;

impl Control {
    /// Answers a question about one shard.
    pub(super) async fn decide(
        &self,
        entity_type: &str,
        request: StoreRequest<Place>,
        deadline: Instant,
    ) -> Result<StoreAnswer<Place>, Failure> {
        let session = self.session(deadline).await?;
        let shard = request.shard();
        let (expected, to, gives) = match request {
            StoreRequest::Read { shard } => {
                let found = self.read(&session, entity_type, shard, deadline).await?;
                return Ok(StoreAnswer::Found(found));
            }
            StoreRequest::GiveAway { expected, to, .. } => (expected, to, true),
            StoreRequest::TakeOver { expected, to, .. } => (expected, to, false),
        };
        let current = match self.known(entity_type, shard) {
            Some(known) if known.epoch == expected => Some(known),
            _ if expected == Epoch::NONE && !gives => None,
            _ => self.read(&session, entity_type, shard, deadline).await?,
        };
        let epoch = current.map_or(Epoch::NONE, |record| record.epoch);
        if epoch != expected || (gives && current.is_none()) {
            let reason = StoreRefusal::EpochChanged;
            return Ok(StoreAnswer::Refused { reason, current });
        }
        let change = Change { entity_type, request, current, to, gives };
        self.change(session, change, deadline).await
    }

    /// The records of all shards of a type.
    pub(super) async fn read_all(
        &self,
        entity_type: &str,
        deadline: Instant,
    ) -> Result<Vec<(u32, Ownership<Place>)>, Failure> {
        let session = self.session(deadline).await?;
        let prefix = self.keys.owners_of(entity_type);
        let (pairs, _) = self.list(&session, &prefix, deadline).await?;
        let mut records = Vec::new();
        for pair in pairs {
            match self.keys.read(pair.key()) {
                Some(Key::Owner(of, shard)) if of == entity_type => {
                    let record = self.owner_of(&pair)?;
                    self.remember(entity_type, shard, record);
                    records.push((shard, record));
                }
                Some(Key::Owner(..)) => {}
                _ => return Err(foreign(&pair)),
            }
        }
        records.sort_unstable_by_key(|(shard, _)| *shard);
        Ok(records)
    }

    /// Everything below a prefix, as it was at one revision, and that revision.
    pub(super) async fn list(
        &self,
        session: &Session,
        prefix: &str,
        deadline: Instant,
    ) -> Result<(Vec<KeyValue>, i64), Failure> {
        let mut client = session.client.clone();
        // All keys with the prefix come before the same with its last byte one higher.
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let mut pairs: Vec<KeyValue> = Vec::new();
        let mut revision = 0;
        let mut from = prefix.as_bytes().to_vec();
        loop {
            let options = GetOptions::new().with_range(end.clone()).with_limit(PAGE);
            let options = options.with_revision(revision);
            let get = client.get(from.clone(), Some(options));
            let mut page: GetResponse = self.call(session, deadline, get).await?;
            if revision == 0 {
                let header = page.header();
                revision = header.ok_or_else(|| self.malformed("a revision"))?.revision();
            }
            pairs.append(&mut page.take_kvs());
            match pairs.last().filter(|_| page.more()) {
                Some(last) => from = [last.key(), &[0]].concat(),
                None => return Ok((pairs, revision)),
            }
        }
    }

    async fn read(
        &self,
        session: &Session,
        entity_type: &str,
        shard: u32,
        deadline: Instant,
    ) -> Result<Option<Ownership<Place>>, Failure> {
        let mut client = session.client.clone();
        let get = client.get(self.keys.owner(entity_type, shard), None);
        let found = self.call(session, deadline, get).await?;
        self.record_in(entity_type, shard, &found)
    }

    fn record_in(
        &self,
        entity_type: &str,
        shard: u32,
        found: &GetResponse,
    ) -> Result<Option<Ownership<Place>>, Failure> {
        let Some(pair) = found.kvs().first() else { return Ok(None) };
        let record = self.owner_of(pair)?;
        self.remember(entity_type, shard, record);
        Ok(Some(record))
    }

    fn owner_of(&self, pair: &KeyValue) -> Result<Ownership<Place>, Failure> {
        read_owner(pair.value(), pair.mod_revision()).ok_or_else(|| foreign(pair))
    }

    /// The change, as one transaction. It is sent once.
    async fn change(
        &self,
        session: Session,
        change: Change<'_>,
        deadline: Instant,
    ) -> Result<StoreAnswer<Place>, Failure> {
        let mut client = session.client.clone();
        let answer = client.txn(self.transaction(&change));
        let answer = self.call(&session, deadline, answer).await?;
        let shard = change.request.shard();
        if answer.succeeded() {
            let header = answer.header().ok_or_else(|| self.malformed("a revision"))?;
            let epoch = Epoch(u64::try_from(header.revision()).unwrap_or(0));
            let record = Ownership { owner: change.to, epoch, given_by: change.given_by() };
            self.remember(change.entity_type, shard, record);
            return Ok(StoreAnswer::Changed(record));
        }
        let mut found = answer.op_responses().into_iter().filter_map(|response| match response {
            TxnOpResponse::Get(found) => Some(found),
            _ => None,
        });
        let (Some(record), Some(target)) = (found.next(), found.next()) else {
            return Err(self.malformed("what it was compared with"));
        };
        let owner_is_there = found.next().is_some_and(|owner| !owner.kvs().is_empty());
        let target_is_there = !target.kvs().is_empty();
        let current = self.record_in(change.entity_type, shard, &record)?;
        let old = change.current.map(|record| record.owner.incarnation);
        let is_present = |place: Place| {
            (place.incarnation == change.to.incarnation && target_is_there)
                || (Some(place.incarnation) == old && owner_is_there)
        };
        match judge(&change.request, current, is_present) {
            Err(reason) => Ok(StoreAnswer::Refused { reason, current }),
            Ok(_) => Err(self.malformed("a reason")),
        }
    }

    fn transaction(&self, change: &Change<'_>) -> Txn {
        let key = self.keys.owner(change.entity_type, change.request.shard());
        let target = self.keys.node(change.to.incarnation);
        let revision = change.current.map_or(0, |record| record.epoch.0 as i64);
        let mut compares = vec![
            Compare::mod_revision(key.as_str(), CompareOp::Equal, revision),
            Compare::version(target.as_str(), CompareOp::Greater, 0),
        ];
        let value = owner_value(change.to, change.given_by());
        let put = TxnOp::put(key.as_str(), value, None);
        let mut explain = vec![TxnOp::get(key, None), TxnOp::get(target, None)];
        if let Some(record) = change.current.filter(|_| !change.gives) {
            let owner = self.keys.node(record.owner.incarnation);
            compares.push(Compare::version(owner.as_str(), CompareOp::Equal, 0));
            explain.push(TxnOp::get(owner, None));
        }
        Txn::new().when(compares).and_then([put]).or_else(explain)
    }

    pub(super) fn malformed(&self, what: &str) -> Failure {
        Failure::malformed(&self.settings, what)
    }
}

/// A change of owner that is to be made.
struct Change<'a> {
    entity_type: &'a str,
    request: StoreRequest<Place>,
    /// The record at the epoch that the request expects.
    current: Option<Ownership<Place>>,
    to: Place,
    gives: bool,
}

impl Change<'_> {
    fn given_by(&self) -> Option<Place> {
        self.current.map(|record| record.owner).filter(|_| self.gives)
    }
}

fn foreign(pair: &KeyValue) -> Failure {
    let key = String::from_utf8_lossy(pair.key()).into_owned();
    Failure::unsent(StoreError::ForeignRecord { key })
}
