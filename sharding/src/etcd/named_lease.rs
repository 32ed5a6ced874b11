//! Leases by name: a key each, under a lease of etcd that nobody keeps, so that it ends by itself.

use etcd_client::{Compare, CompareOp, KeyValue, PutOptions, Txn, TxnOp, TxnOpResponse};
use tokio::time::Instant;

use super::control::Control;
use super::failure::Failure;
use super::record::{lease_value, read_lease};
use super::session::Session;
use crate::ownership::{LeaseAnswer, NamedLease, StoreError};

const SECOND_NS: u64 = 1_000_000_000;

impl Control {
    /// Has a lease, if nobody has it or this node does.
    pub(super) async fn acquire(
        &self,
        lease: &NamedLease,
        ttl_ns: u64,
        deadline: Instant,
    ) -> Result<LeaseAnswer, Failure> {
        let session = self.session(deadline).await?;
        let mut client = session.client.clone();
        let seconds = i64::try_from(ttl_ns.div_ceil(SECOND_NS)).unwrap_or(i64::MAX);
        let granted = self.call(&session, deadline, client.lease_grant(seconds, None)).await;
        // Without its key nobody has anything.
        let granted = granted.map_err(|failure| Failure { may_have_happened: false, ..failure })?;
        let answer = self.put(&session, lease, granted.id(), deadline).await;
        if !matches!(answer, Ok(LeaseAnswer::Acquired) | Err(_)) {
            // What is not given back ends by itself.
            let _ = self.call(&session, deadline, client.lease_revoke(granted.id())).await;
        }
        answer
    }

    /// Ends a lease, if it is still by this request.
    pub(super) async fn release(
        &self,
        lease: &NamedLease,
        deadline: Instant,
    ) -> Result<LeaseAnswer, Failure> {
        let session = self.session(deadline).await?;
        let mut client = session.client.clone();
        let key = self.keys.lease(&lease.name);
        let is_this = Compare::value(key.as_str(), CompareOp::Equal, lease_value(lease));
        let transaction = Txn::new().when([is_this]).and_then([TxnOp::delete(key, None)]);
        self.call(&session, deadline, client.txn(transaction)).await?;
        Ok(LeaseAnswer::Released)
    }

    /// Writes the key under a lease of etcd: if it is not there, or is this node's.
    async fn put(
        &self,
        session: &Session,
        lease: &NamedLease,
        granted: i64,
        deadline: Instant,
    ) -> Result<LeaseAnswer, Failure> {
        let key = self.keys.lease(&lease.name);
        let put = || {
            let options = PutOptions::new().with_lease(granted);
            TxnOp::put(key.as_str(), lease_value(lease), Some(options))
        };
        let mut client = session.client.clone();
        let transaction = Txn::new()
            .when([Compare::version(key.as_str(), CompareOp::Equal, 0)])
            .and_then([put()])
            .or_else([TxnOp::get(key.as_str(), None)]);
        let answer = self.call(session, deadline, client.txn(transaction)).await?;
        if answer.succeeded() {
            return Ok(LeaseAnswer::Acquired);
        }
        let responses = answer.op_responses();
        let found = responses.iter().find_map(|response| match response {
            TxnOpResponse::Get(found) => found.kvs().first(),
            _ => None,
        });
        let pair: &KeyValue = found.ok_or_else(|| self.malformed("the lease that is there"))?;
        let foreign = || Failure::unsent(StoreError::ForeignRecord { key: key.clone() });
        let held = read_lease(&lease.name, pair.value()).ok_or_else(foreign)?;
        if held.incarnation != lease.incarnation {
            return Ok(LeaseAnswer::Refused { holder: held.incarnation });
        }
        if held.request > lease.request {
            return Ok(LeaseAnswer::Acquired);
        }
        let is_this = Compare::mod_revision(key.as_str(), CompareOp::Equal, pair.mod_revision());
        let transaction = Txn::new().when([is_this]).and_then([put()]);
        let answer = self.call(session, deadline, client.txn(transaction)).await?;
        match answer.succeeded() {
            true => Ok(LeaseAnswer::Acquired),
            // It ended a moment ago: who asks again finds out.
            false => Ok(LeaseAnswer::Unknown),
        }
    }
}
