//! Our processes: those that scripts act as, and those that every node has (`rex`, `net_kernel`).
//!
//! Also where pids, references and challenges come from. A process that is killed starts again with another pid, as under a
//! supervisor.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use md5::{Digest as _, Md5};

use super::{Node, Process};
use crate::control::{TermBytes, Who};
use crate::ids::{Pid, Reference, Words};
use crate::name::NodeName;
use crate::wire::scan::VERSION;
use crate::wire::write;

/// What a process is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// Messages go to scripts.
    Script(Process),
    /// Answers calls of `rpc` in its old form.
    Rex,
    /// Answers `net_adm:ping`.
    NetKernel,
    /// Calls, and is called, for scripts.
    Rpc,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Processes {
    node: NodeName,
    creation: u32,
    seed: [u64; 2],
    counter: u64,
    next: u32,
    roles: BTreeMap<u32, Role>,
    names: BTreeMap<String, u32>,
    own: u32,
    rpc: u32,
}

impl Processes {
    pub(super) fn new(node: NodeName, creation: u32, seed: [u64; 2]) -> Self {
        let mut processes = Self {
            node,
            creation,
            seed,
            counter: 0,
            next: 1,
            roles: BTreeMap::new(),
            names: BTreeMap::new(),
            own: 0,
            rpc: 0,
        };
        processes.own = processes.start(Role::Script(Process::Own));
        processes.rpc = processes.start(Role::Rpc);
        for (name, role) in [("rex", Role::Rex), ("net_kernel", Role::NetKernel)] {
            let id = processes.start(role);
            processes.names.insert(name.to_owned(), id);
        }
        processes
    }

    /// A number for a process that is not kept here.
    pub(super) fn number(&mut self) -> u32 {
        let number = self.next;
        // 28 bits, which every node can read; a process of that number ended long ago.
        self.next = (self.next + 1) % (1 << 28);
        if self.next == 0 {
            self.next = 1;
        }
        number
    }

    fn start(&mut self, role: Role) -> u32 {
        let mut number = self.number();
        while self.roles.contains_key(&number) {
            number = self.number();
        }
        self.roles.insert(number, role);
        number
    }

    pub(super) fn pid(&self, id: u32) -> Pid {
        Pid {
            node: self.node.clone(),
            id,
            serial: 0,
            creation: self.creation,
        }
    }

    pub(super) fn rpc(&self) -> Pid {
        self.pid(self.rpc)
    }

    /// A reference that never was before.
    pub(super) fn reference(&mut self) -> Reference {
        self.counter += 1;
        // Other nodes read 18 bits of the first word.
        let words = [
            (self.counter & 0x3_ffff) as u32,
            (self.counter >> 18) as u32,
            self.seed[0] as u32,
        ];
        Reference {
            node: self.node.clone(),
            creation: self.creation,
            ids: Words::from(words),
        }
    }

    /// A number that can't be guessed.
    pub(super) fn challenge(&mut self) -> u32 {
        self.counter += 1;
        let mut hash = Md5::new();
        for part in [self.seed[0], self.seed[1], self.counter] {
            hash.update(part.to_be_bytes());
        }
        let digest: [u8; 16] = hash.finalize().into();
        let [a, b, c, d, ..] = digest;
        u32::from_be_bytes([a, b, c, d])
    }

    /// The process of that pid, if it is one of ours and there.
    pub(super) fn by_pid(&self, pid: &Pid) -> Option<(u32, Role)> {
        let ours = pid.creation == self.creation && pid.serial == 0 && pid.node == self.node;
        let role = self.roles.get(&pid.id).filter(|_| ours)?;
        Some((pid.id, role.clone()))
    }

    pub(super) fn by_name(&self, name: &str) -> Option<(u32, Role)> {
        let id = self.names.get(name)?;
        Some((*id, self.roles.get(id)?.clone()))
    }

    pub(super) fn by_who(&self, who: &Who) -> Option<(u32, Role)> {
        match who {
            Who::Pid(pid) => self.by_pid(pid),
            Who::Name(name) => self.by_name(name),
        }
    }

    pub(super) fn id_of(&self, process: &Process) -> Option<u32> {
        match process {
            Process::Own => Some(self.own),
            Process::Named(name) => self.names.get(&**name).copied(),
        }
    }

    /// Gives a process another number.
    pub(super) fn restart(&mut self, id: u32) {
        let Some(role) = self.roles.remove(&id) else {
            return;
        };
        let new = self.start(role);
        for number in self
            .names
            .values_mut()
            .chain([&mut self.own, &mut self.rpc])
        {
            if *number == id {
                *number = new;
            }
        }
    }
}

impl Node {
    /// Registers a process for scripts. False where the name is taken.
    pub fn register(&mut self, name: &Arc<str>) -> bool {
        if self.processes.names.contains_key(&**name) {
            return false;
        }
        let process = Process::Named(Arc::clone(name));
        let id = self.processes.start(Role::Script(process));
        self.processes.names.insert(name.to_string(), id);
        true
    }

    /// Ends a process that [`Node::register`] made; whoever watches it learns it. False where there is none.
    pub fn unregister(&mut self, now: Instant, name: &str) -> bool {
        match self.processes.by_name(name) {
            Some((id, Role::Script(_))) => {
                self.processes.names.remove(name);
                self.processes.roles.remove(&id);
                self.process_ended(now, id, &atom("normal"));
                true
            }
            _ => false,
        }
    }

    /// A process's pid.
    pub fn pid(&self, process: &Process) -> Option<Pid> {
        self.processes
            .id_of(process)
            .map(|id| self.processes.pid(id))
    }

    /// The pid that is registered with a name.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        let (id, _) = self.processes.by_name(name)?;
        Some(self.processes.pid(id))
    }

    /// The names that are registered.
    pub fn registered(&self) -> impl Iterator<Item = &str> {
        self.processes.names.keys().map(String::as_str)
    }

    /// A reference that never was before.
    pub fn make_ref(&mut self) -> Reference {
        self.processes.reference()
    }
}

/// A term made by hand.
pub(super) fn term(write: impl FnOnce(&mut Vec<u8>)) -> TermBytes {
    let mut out = vec![VERSION];
    write(&mut out);
    out.into()
}

/// An atom as a term of its own.
pub(super) fn atom(text: &str) -> TermBytes {
    term(|out| write::atom(out, text))
}

/// A term's bytes as a part of another term.
pub(super) fn bare(term: &TermBytes) -> &[u8] {
    term.get(1..).unwrap_or_default()
}
