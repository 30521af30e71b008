//! `dmq`: the bus acts behind the effects; copies of requests are decisions.

use std::sync::Arc;

use switchhook_bindings::switchhook::script::dmq::{Host, Node, State};
use switchhook_bindings::switchhook::script::types::Body as WitBody;
use wasmtime::Result;

use super::Answered;
use super::tm::line;
use crate::context::Context;
use crate::dmq::DmqNode;
use crate::event::{Body, Event};
use crate::refusal::{Refusal, not_here};

impl Host for Context {
    fn nodes(&mut self) -> Answered<Vec<Node>> {
        self.enter(0)?;
        let nodes = self.effects().dmq().and_then(|bus| bus.members());
        let size = |node: &Node| node.uri.len() + size_of::<Node>();
        self.copy(nodes.iter().flatten().map(size).sum())?;
        Ok(nodes)
    }

    fn self_(&mut self) -> Answered<String> {
        self.enter(0)?;
        let own = self.effects().dmq().and_then(|bus| bus.own());
        self.copy(own.as_ref().map_or(0, String::len))?;
        Ok(own)
    }

    fn is_from_node(&mut self) -> Answered<bool> {
        self.enter(0)?;
        Ok(self.came_from_node("dmq.is-from-node"))
    }

    fn send(&mut self, to: String, channel: String, message: WitBody) -> Answered<u64> {
        self.enter(to.len() + channel.len() + size(&message))?;
        Ok(self.post(Some(&to), &channel, message))
    }

    fn broadcast(&mut self, channel: String, message: WitBody) -> Answered<u64> {
        self.enter(channel.len() + size(&message))?;
        Ok(self.post(None, &channel, message))
    }

    fn replicate(&mut self, from_nodes_too: bool) -> Answered<u32> {
        self.enter(0)?;
        Ok(self.copy_for_members(from_nodes_too))
    }
}

impl Context {
    fn came_from_node(&self, function: &'static str) -> Result<bool, Refusal> {
        let bus = self.effects().dmq()?;
        let event = self.try_event();
        let current = event.and_then(Event::current).ok_or_else(|| {
            let here = event.map_or("lifecycle", Event::here);
            not_here(function, here, "routes that have a message")
        })?;
        bus.is_from_node(&current.source)
    }

    fn post(&self, to: Option<&str>, channel: &str, message: WitBody) -> Result<u64, Refusal> {
        line("dmq.send: the content type", &message.content_type)?;
        let bus: Arc<dyn DmqNode> = self.effects().dmq()?;
        let message = Body {
            content_type: message.content_type,
            content: message.content,
        };
        bus.send(to, channel, message)
    }

    fn copy_for_members(&mut self, from_nodes_too: bool) -> Result<u32, Refusal> {
        if !from_nodes_too && self.came_from_node("dmq.replicate")? {
            return Ok(0);
        }
        let members = self.effects().dmq()?.members()?.into_iter();
        let active = members.filter(|member| member.state == State::Active);
        let to: Vec<_> = active.map(|member| member.uri).collect();
        let count = u32::try_from(to.len()).unwrap_or(u32::MAX);
        if count > 0 {
            self.copies("dmq.replicate", to)?;
        }
        Ok(count)
    }
}

fn size(message: &WitBody) -> usize {
    message.content_type.len() + message.content.len()
}
