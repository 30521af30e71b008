//! The rule of [`Steer`] as a program of classic BPF for the kernel: as data, run by nobody here.
//!
//! A socket of an SO_REUSEPORT group takes it (`SO_ATTACH_REUSEPORT_CBPF`, Linux 4.5, socket(7)) without any privilege, and the kernel runs it for each
//! datagram to the group, which begins at offset 0: it returns the number of the socket that gets the datagram, sockets being numbered as they
//! were bound. A number that no socket has means that the kernel is to choose by addresses. A load from beyond the datagram ends the program with 0; only what is
//! cut off within its Call-ID, and so no message, comes to that.
//!
//! There are no loops, so all is unrolled. The search goes in strides of six bytes: of `\r\nCall-ID:` one of six words stands at a multiple
//! of six, whichever way it lies. One test of bits that none of these words has passes most strides over. Jumps on a condition
//! reach 255 instructions forward, so strides come in groups, each with the check of what was found. A false find (`Call-Info:`) costs the
//! rest of its group's reach.

use super::{ENDS, Steer, TOPS};

/// One instruction: what it is, where to go on if a condition holds and if not, its operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Op {
    pub(crate) code: u16,
    pub(crate) then: u8,
    pub(crate) otherwise: u8,
    pub(crate) operand: u32,
}

/// Groups that cover the datagram of an Ethernet's usual length.
pub(crate) const GROUPS: u32 = 10;

/// Where the search begins: no request line is shorter.
const FIRST: u32 = 12;
/// Bytes from one look to the next.
const STRIDE: u32 = 6;
/// Looks between two checks of the length.
const STRIDES: u32 = 4;
/// Checks of the length in a group.
const CHECKS: u32 = 6;

/// What is looked for: with what stands before and behind, it is a header field's name and nothing else.
const NAME: &[u8; 10] = b"\r\nCall-ID:";
/// Bits that none of the six words of [`NAME`] has.
const OTHERS: u32 = 0x1010_1012;
/// No socket has this number.
const NOBODY: u32 = u32::MAX;

/// Cells of the program's memory.
const SUM: u32 = 0;
const WORD: u32 = 1;
const PLACE: u32 = 2;

// linux/bpf_common.h
const LD_WORD: u16 = 0x20;
const LD_WORD_AT_X: u16 = 0x40;
const LD_HALF_AT_X: u16 = 0x48;
const LD_BYTE_AT_X: u16 = 0x50;
const LD_CONSTANT: u16 = 0x00;
const LD_LENGTH: u16 = 0x80;
const LD_CELL: u16 = 0x60;
const LDX_CONSTANT: u16 = 0x01;
const LDX_CELL: u16 = 0x61;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ADD: u16 = 0x04;
const ADD_X: u16 = 0x0c;
const SUBTRACT: u16 = 0x14;
const SUBTRACT_X: u16 = 0x1c;
const MULTIPLY: u16 = 0x24;
const AND: u16 = 0x54;
const SHIFT_RIGHT: u16 = 0x74;
const NEGATE: u16 = 0x84;
const XOR_X: u16 = 0xac;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
const RETURN_A: u16 = 0x16;
const A_TO_X: u16 = 0x07;
const X_TO_A: u16 = 0x87;

/// Bytes of a datagram in which so many groups look for a Call-ID.
pub(crate) const fn reach(groups: u32) -> u32 {
    FIRST + groups * CHECKS * STRIDES * STRIDE
}

/// The program that finds the Call-ID within so many groups of strides and names the socket of its lane.
pub(crate) fn program(steer: &Steer, groups: u32) -> Vec<Op> {
    let mut code = Code::default();
    let mut found = Vec::new();
    for group in 0..groups {
        found.push(code.group(reach(group)));
    }
    code.op(RETURN, NOBODY);
    for jump in found {
        code.land(jump);
    }
    code.hash(steer);
    code.ops
}

/// A jump whose end is not known yet: the place behind it, from which its distance counts.
#[derive(Clone, Copy)]
struct Open(usize);

#[derive(Default)]
struct Code {
    ops: Vec<Op>,
}

impl Code {
    /// Looks at a part of the datagram. What it gives back is where a name was found, which then begins at X.
    fn group(&mut self, first: u32) -> Open {
        let mut short = Vec::new();
        // By the place within the name that the look fell on.
        let mut seen: Vec<Vec<Open>> = (0..STRIDE).map(|_| Vec::new()).collect();
        for check in 0..CHECKS {
            let begin = first + check * STRIDES * STRIDE;
            let end = begin + (STRIDES - 1) * STRIDE + 4;
            self.op(LD_LENGTH, 0);
            short.push(self.unless(IF_AT_LEAST, end));
            for stride in 0..STRIDES {
                let at = begin + stride * STRIDE;
                self.op(LD_WORD, at);
                let other = self.when(IF_ANY_BIT, OTHERS);
                self.op(LDX_CONSTANT, at);
                for (seen, place) in seen.iter_mut().zip(0..) {
                    seen.push(self.when(IF_EQUAL, word(place)));
                }
                self.land(other);
            }
        }
        let mut next = vec![self.jump()];
        short.into_iter().for_each(|jump| self.land(jump));
        self.op(RETURN, NOBODY);
        let mut joins = Vec::new();
        for (seen, place) in seen.into_iter().zip(0..) {
            seen.into_iter().for_each(|jump| self.land(jump));
            self.op(LD_CONSTANT, place);
            joins.push(self.jump());
        }
        joins.into_iter().for_each(|jump| self.land(jump));
        // A is the place within the name, X where that is: the name begins at X - A.
        self.op(SUBTRACT_X, 0);
        self.op(NEGATE, 0);
        self.op(A_TO_X, 0);
        self.op(LD_WORD_AT_X, 0);
        next.push(self.unless(IF_EQUAL, word(0)));
        self.op(LD_WORD_AT_X, 4);
        next.push(self.unless(IF_EQUAL, word(4)));
        self.op(LD_HALF_AT_X, 8);
        next.push(self.unless(IF_EQUAL, word(8) >> 16));
        let found = self.jump();
        next.into_iter().for_each(|jump| self.land(jump));
        found
    }

    /// [`Steer::lane_of`], of the name that begins at X.
    fn hash(&mut self, steer: &Steer) {
        let value = NAME.len() as u32;
        self.op(LD_BYTE_AT_X, value);
        let tight = self.unless(IF_EQUAL, u32::from(b' '));
        self.op(X_TO_A, 0);
        self.op(ADD, 1);
        self.op(A_TO_X, 0);
        self.land(tight);
        self.op(STX, PLACE);
        self.op(LD_CONSTANT, 0);
        self.op(ST, SUM);
        let mut last = Vec::new();
        for (key, number) in steer.words.into_iter().zip(0..) {
            self.op(LD_WORD_AT_X, value + 4 * number);
            self.op(ST, WORD);
            self.op(SUBTRACT, ENDS);
            last.push(self.when(IF_ANY_BIT, TOPS));
            self.op(LD_CELL, WORD);
            self.add_times(key);
            self.op(LDX_CELL, PLACE);
        }
        let mut done = vec![self.jump()];
        last.into_iter().for_each(|jump| self.land(jump));
        // How many bytes of that word are the Call-ID's: A has the highest bit where one is not.
        done.push(self.when(IF_ANY_BIT, 0x8000_0000));
        let one = self.when(IF_ANY_BIT, 0x0080_0000);
        let two = self.when(IF_ANY_BIT, 0x0000_8000);
        self.op(LD_CELL, WORD);
        self.op(AND, 0xffff_ff00);
        let three = self.jump();
        self.land(two);
        self.op(LD_CELL, WORD);
        self.op(AND, 0xffff_0000);
        let two = self.jump();
        self.land(one);
        self.op(LD_CELL, WORD);
        self.op(AND, 0xff00_0000);
        self.land(two);
        self.land(three);
        self.add_times(steer.last);
        done.into_iter().for_each(|jump| self.land(jump));
        self.op(LDX_CELL, SUM);
        self.op(LD_CELL, SUM);
        self.op(SHIFT_RIGHT, 15);
        self.op(XOR_X, 0);
        self.op(MULTIPLY, steer.mix);
        self.op(SHIFT_RIGHT, 16);
        self.op(MULTIPLY, steer.lanes.into());
        self.op(SHIFT_RIGHT, 16);
        self.op(RETURN_A, 0);
    }

    /// Adds A times a key to the sum.
    fn add_times(&mut self, key: u32) {
        self.op(MULTIPLY, key);
        self.op(LDX_CELL, SUM);
        self.op(ADD_X, 0);
        self.op(ST, SUM);
    }

    fn op(&mut self, code: u16, operand: u32) {
        self.ops.push(Op {
            code,
            then: 0,
            otherwise: 0,
            operand,
        });
    }

    /// Jumps if the condition holds.
    fn when(&mut self, code: u16, operand: u32) -> Open {
        self.op(code, operand);
        Open(self.ops.len())
    }

    /// Jumps if it does not.
    fn unless(&mut self, code: u16, operand: u32) -> Open {
        let jump = self.when(code, operand);
        if let Some(op) = self.ops.last_mut() {
            // Marks which way it is to go; `land` says how far.
            op.otherwise = 1;
        }
        jump
    }

    fn jump(&mut self) -> Open {
        self.when(JUMP, 0)
    }

    /// Lets a jump end here. A conditional one reaches 255 instructions: groups are made so.
    fn land(&mut self, jump: Open) {
        let Open(behind) = jump;
        let distance = self.ops.len() - behind;
        let Some(op) = self.ops.get_mut(behind - 1) else {
            return;
        };
        let short = u8::try_from(distance);
        match (op.code, op.otherwise) {
            (JUMP, _) => op.operand = distance as u32,
            (_, 0) => op.then = short.unwrap_or(u8::MAX),
            (_, _) => op.otherwise = short.unwrap_or(u8::MAX),
        }
    }
}

/// Four bytes of the name from that place on, as a load gives them; zeros behind its end.
fn word(place: usize) -> u32 {
    let bytes = NAME.iter().skip(place).chain(&[0; 4]).take(4);
    bytes.fold(0, |word, byte| word << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_jump_ends_where_it_should() {
        let steer = Steer::new(4);
        let ops = program(&steer, GROUPS);
        // BPF_MAXINSNS of linux/bpf_common.h
        assert!(ops.len() <= 4096, "{}", ops.len());
        for (place, op) in ops.iter().enumerate() {
            let longest = op.then.max(op.otherwise);
            assert!(longest < u8::MAX, "a jump that does not reach its end");
            let jump = match op.code {
                JUMP => op.operand as usize,
                _ => longest.into(),
            };
            assert!(jump == 0 || place + 1 + jump < ops.len());
        }
        for place in 0..STRIDE as usize {
            assert_eq!(word(place) & OTHERS, 0, "a part of the name is passed over");
        }
    }
}
