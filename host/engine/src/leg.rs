//! One target on its way to a branch: where it goes, and what is written into the request for that way.
//!
//! Decides and writes; what is asked, run and sent for it on the way is the relay's. A target with several addresses is written
//! for each of them anew, from the request as it was before.

use std::collections::VecDeque;
use std::time::Instant;

use switchhook_net::Local;
use switchhook_script::{Current, Target};
use switchhook_sip::flow::Destination;
use switchhook_sip::proxy::{Aim, Interface, RecordRoute, Stamp, aim, stamp};
use switchhook_sip::resolve::Hop;
use switchhook_sip::transaction::BranchId;

use crate::forward::Problem;
use crate::lane::Lane;
use crate::length::WRITTEN;
use crate::relay::Way;
use crate::resolve::{Hops, Place, place};

/// One target on its way to a branch.
pub(crate) struct Leg {
    pub(crate) target: Target,
    pub(crate) index: u32,
    pub(crate) current: Current,
    pub(crate) next_hop: Option<String>,
    pub(crate) breadth: Option<u32>,
    pub(crate) stage: Stage,
    /// Addresses to try when the one at work fails.
    pub(crate) others: VecDeque<Hop>,
    /// The request as it was before it was written for its address; only where there are others.
    pub(crate) unwritten: Option<Current>,
    /// It is too long for UDP and was sent to TCP.
    pub(crate) long: bool,
}

/// How far it is.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    /// The branch route is to run.
    BranchRoute,
    /// The next hop is to be found.
    Locate,
    /// It goes there; Via and the rest are to be written.
    Address(Hop),
    /// It is written; the onsend route is to look at it.
    OnsendRoute(Destination, Option<BranchId>),
    /// Nothing stands in its way.
    Ready(Destination, Option<BranchId>),
}

impl Leg {
    /// It goes to the first of these; the others are for when that fails.
    pub(crate) fn goes(&mut self, hops: Hops) {
        self.stage = Stage::Address(hops.first);
        // A connection that a contact registered over is the only way to it.
        if self.target.flow.is_none() {
            self.others = hops.others;
        }
    }

    /// What is needed to send it to its next address, once it is written for this one.
    pub(crate) fn spare(&mut self) -> Option<Leg> {
        let next = self.others.pop_front()?;
        Some(Leg {
            target: self.target.clone(),
            index: self.index,
            current: self.unwritten.take()?,
            next_hop: self.next_hop.clone(),
            breadth: None,
            stage: Stage::Address(next),
            others: std::mem::take(&mut self.others),
            unwritten: None,
            long: self.long,
        })
    }
}

impl Lane {
    /// Aims the copy at its target (RFC 3261 16.6 steps 2, 3, 6, 7) and looks where that is.
    pub(crate) fn locate(&mut self, way: &Way, leg: &mut Leg) -> Result<Place, Problem> {
        let path: Vec<&[u8]> = leg.target.path.iter().map(String::as_bytes).collect();
        let at = Aim {
            uri: None,
            path: &path,
            next_hop: leg.next_hop.as_deref().map(str::as_bytes),
            breadth: leg.breadth,
        };
        let Current { message, edits, .. } = &mut leg.current;
        let next = aim(message, edits, &at)?;
        let uri = next.uri(edits.view(message))?;
        // What is forwarded without a transaction must go where its copies went (RFC 3263 4.3).
        let random = match way {
            Way::Stateful(_) => {
                self.random = self.random.wrapping_add(1);
                self.keys.hash_one(self.random)
            }
            Way::Stateless(_) => {
                let mark = &self.services.loop_key;
                self.keys.hash_one(mark.stateless_branch(message))
            }
        };
        place(&uri, self.supported, random)
    }

    /// Writes what belongs to the way it leaves by: Record-Route and Via (RFC 3261 16.6 steps 4 and 8).
    pub(crate) fn write(
        &mut self,
        now: Instant,
        way: &Way,
        leg: &mut Leg,
        hop: Hop,
    ) -> Result<(), Problem> {
        let (transport, remote) = (hop.transport, hop.address);
        let id = match way {
            Way::Stateful(_) => Some(self.tm.next_branch()),
            Way::Stateless(_) => None,
        };
        let (source, params) = match way {
            Way::Stateless(bare) => (bare.source, bare.record_route.as_deref()),
            Way::Stateful(key) => match self.tm.data(*key) {
                Some(context) => (context.source, context.record_route.as_deref()),
                None => return Ok(()),
            },
        };
        let local = self
            .net
            .egress(transport, remote, Some(source.local))
            .ok_or(Problem::NoListener(transport))?;
        let came = self
            .net
            .locals()
            .iter()
            .find(|ours| ours.transport == source.transport && ours.address == source.local);
        // What is not near the limit needs no look. Without a transaction nobody would try UDP after all.
        let ours = WRITTEN + 2 * params.map_or(0, str::len);
        let near = leg.current.view().len_at_most() + ours > self.limits.udp_request;
        let may = near && !leg.long && leg.target.flow.is_none() && id.is_some();
        let stream = match may {
            true => self.by_stream(now, hop, leg.next_hop.as_deref()),
            false => None,
        };
        if !leg.others.is_empty() || stream.is_some() {
            leg.unwritten = Some(leg.current.clone());
        }
        let Current { message, edits, .. } = &mut leg.current;
        let mark = &self.services.loop_key;
        let branch = match (id, way) {
            (Some(id), _) => [id.as_str().as_bytes(), b".", &mark.mark(message).digits()].concat(),
            (None, Way::Stateless(bare)) if bare.copy.is_some() => {
                let number = bare.copy.unwrap_or_default();
                self.copies.branch(number).into_bytes()
            }
            (None, _) => mark.stateless_branch(message).into_bytes(),
        };
        let from = came.unwrap_or(local);
        let written = Stamp {
            via: interface(local),
            branch: &branch,
            rport: false,
            record_route: params.map(|params| RecordRoute {
                from: interface(from),
                params,
            }),
        };
        stamp(message, edits, &written)?;
        if transport.is_stream() {
            edits.add_content_length(message)?;
        }
        let destination = Destination {
            transport,
            remote,
            local: Some(local.address),
            flow: leg.target.flow,
        };
        if let Some(stream) = stream {
            self.scratch.clear();
            leg.current.view().render(&mut self.scratch);
            if self.scratch.len() > self.limits.udp_request
                && let Some(unwritten) = leg.unwritten.take()
            {
                leg.current = unwritten;
                leg.long = true;
                leg.others.push_front(hop);
                leg.stage = Stage::Address(stream);
                return Ok(());
            }
        }
        leg.stage = Stage::OnsendRoute(destination, id);
        Ok(())
    }
}

fn interface(local: &Local) -> Interface<'_> {
    Interface {
        transport: local.transport,
        sent_by: &local.sent_by,
    }
}
