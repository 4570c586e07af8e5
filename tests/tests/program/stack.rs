//! The stack of the programs as Linux 6.1 counts it, told by the programs as built: the kernel that runs the tests may count
//! less of it, and says nothing of a chain of calls that it takes.

use std::collections::{BTreeMap, BTreeSet};

use aya_obj::Object;
use aya_obj::generated::bpf_insn;

use crate::bench::object;

/// Bytes that the functions of a chain of calls may take together, each rounded up to [`GRANULE`]. Newer kernels round less
/// where programs are compiled.
const MOST: u32 = 512;
const GRANULE: u32 = 32;

const CALL: u8 = 0x85;
const LOAD_64: u8 = 0x18;
const MOVE: u8 = 0xbf;
const ADD_IMMEDIATE: u8 = 0x07;
const FRAME_POINTER: u8 = 10;
/// `BPF_PSEUDO_CALL` and `BPF_PSEUDO_FUNC`: another function of the program, called or handed to a helper.
const PSEUDO_CALL: u8 = 1;
const PSEUDO_FUNC: u8 = 4;

#[test]
fn no_chain_of_calls_takes_more_stack_than_linux_6_1_has() {
    let mut object = Object::parse(&object()).unwrap();
    let sections = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_calls(&sections).unwrap();
    let chains = object.programs.iter().map(|(name, program)| {
        let code = Code::of(&object.functions[&program.function_key()].instructions);
        (name, code.deepest(0))
    });
    let chains: BTreeMap<_, _> = chains.collect();
    println!("{chains:?}");
    assert!(chains.values().any(|bytes| *bytes > MOST / 2), "calls are not followed: {chains:?}");
    let over: Vec<_> = chains.iter().filter(|(_, bytes)| **bytes > MOST).collect();
    assert!(over.is_empty(), "more than {MOST} bytes: {over:?}");
}

/// The functions of a program by their first instruction: bytes of stack, and whom they call.
struct Code(BTreeMap<usize, (u32, BTreeSet<usize>)>);

impl Code {
    fn of(instructions: &[bpf_insn]) -> Self {
        let callees = |at: usize| callee(instructions[at]).map(|offset| at.wrapping_add_signed(offset as isize + 1));
        let starts: BTreeSet<_> = (0..instructions.len()).filter_map(callees).chain([0]).collect();
        let ends = starts.iter().copied().skip(1).chain([instructions.len()]);
        let functions = starts.iter().zip(ends).map(|(start, end)| {
            let stack = (*start..end).map(|at| stack(instructions[at], instructions.get(at + 1))).max();
            (*start, (stack.unwrap_or_default(), (*start..end).filter_map(callees).collect()))
        });
        Self(functions.collect())
    }

    /// Bytes of the deepest chain of calls from a function on. No function calls itself: the kernel refuses that.
    fn deepest(&self, start: usize) -> u32 {
        let (stack, callees) = &self.0[&start];
        let below = callees.iter().map(|callee| self.deepest(*callee)).max().unwrap_or_default();
        (*stack).max(1).next_multiple_of(GRANULE) + below
    }
}

/// How many instructions behind the next one the function begins that an instruction names.
fn callee(instruction: bpf_insn) -> Option<i32> {
    let named = matches!((instruction.code, instruction.src_reg()), (CALL, PSEUDO_CALL) | (LOAD_64, PSEUDO_FUNC));
    named.then_some(instruction.imm)
}

/// Bytes below the frame pointer that an instruction reaches: by reading or writing there, or by the address it takes.
fn stack(instruction: bpf_insn, next: Option<&bpf_insn>) -> u32 {
    let class = instruction.code & 7;
    let base = match class {
        1 => instruction.src_reg(),
        2 | 3 => instruction.dst_reg(),
        _ if instruction.code == MOVE && instruction.src_reg() == FRAME_POINTER => {
            let added = next.filter(|next| next.code == ADD_IMMEDIATE && next.dst_reg() == instruction.dst_reg());
            return added.map_or(0, |next| next.imm.unsigned_abs());
        }
        _ => return 0,
    };
    if base == FRAME_POINTER && instruction.off < 0 { u32::from(instruction.off.unsigned_abs()) } else { 0 }
}
