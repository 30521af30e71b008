//! A guest of a few lines of WAT: the prelude that all of them share, and the contract's metadata. The engine's tests take it from here.

use std::path::Path;

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A core module with the contract's metadata. It exports the interfaces of these names; `wat` is what stands in the
/// module beside the memory, the allocator and `$done`.
pub fn guest(exports: &[&str], imports: &str, wat: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            {imports}
            (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 65536))
            (func $alloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                ;; aligned to 8; never frees, `$begin` takes all back
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
                    (then (drop (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1))))))
                (local.get $at))
            (func $begin (global.set $next (i32.const 65536)))
            ;; result<outcome, string>: ok(done)
            (func $done (result i32)
                (i32.store8 (i32.const 16) (i32.const 0))
                (i32.store8 (i32.const 20) (i32.const 0))
                (i32.const 16))
            ;; result<_, string> and option: both begin with one byte
            (func $ok (result i32)
                (i32.store8 (i32.const 32) (i32.const 0))
                (i32.const 32))
            {wat})"#
    );
    let mut module = wat::parse_str(module).unwrap();
    let mut resolve = Resolve::default();
    resolve
        .push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit"))
        .unwrap();
    let exports: String = exports
        .iter()
        .map(|name| format!("export switchhook:script/{name}@0.1.0;\n"))
        .collect();
    let world = format!(
        "package test:guests;\nworld guest {{ include switchhook:script/imports@0.1.0;\n{exports} }}"
    );
    let package = resolve.push_str("world.wit", &world).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}
