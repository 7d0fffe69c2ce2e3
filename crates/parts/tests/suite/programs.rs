//! Programs: cargo-auditable, Go and runtimes.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use insta::assert_snapshot;
use object::write::{Object, StandardSegment};
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use snowguard_parts::{Declared, Limits, Part, Parts, PartsError, kind_of, read};

use crate::{declared, proof, table, unpack};

fn go(bytes: &[u8]) -> String {
    let program = unpack(bytes);
    let parts = declared("bin/esbuild", &program);
    for part in &parts.parts {
        // The proof stands where the place says.
        let proof = String::from_utf8_lossy(proof(&program, part.place.span));
        assert!(proof.contains(&*part.version), "{proof}");
        assert_eq!(part.by, Declared::GoBuildInfo);
    }
    table(&parts)
}

#[test]
fn go_with_pointers() {
    let elf = go(include_bytes!("../data/go1.17-elf.gz"));
    assert_snapshot!(elf, @r"
    stdlib | pkg:golang/stdlib | 1.17.2 | runtime | 8 bytes at 0x50aa70
    github.com/evanw/esbuild | pkg:golang/github.com/evanw/esbuild | (devel) | runtime | root | 38 bytes at 0x48e3d1
    golang.org/x/sys | pkg:golang/golang.org/x/sys | v0.0.0-20210908233432-aa78b53d3365 | runtime | h1:6wSTsvPddg9gc/mVEEyk9oOAoxn+bT4Z9q1zx+4RwA4= | 104 bytes at 0x48e3f7
    ");
    assert_snapshot!(go(include_bytes!("../data/go1.17-macho.gz")), @r"
    stdlib | pkg:golang/stdlib | 1.17.2 | runtime | 8 bytes at 0x5061d0
    github.com/evanw/esbuild | pkg:golang/github.com/evanw/esbuild | (devel) | runtime | root | 38 bytes at 0x48a141
    golang.org/x/sys | pkg:golang/golang.org/x/sys | v0.0.0-20210908233432-aa78b53d3365 | runtime | h1:6wSTsvPddg9gc/mVEEyk9oOAoxn+bT4Z9q1zx+4RwA4= | 104 bytes at 0x48a167
    ");
    assert_snapshot!(go(include_bytes!("../data/go1.17-pe.gz")), @r"
    stdlib | pkg:golang/stdlib | 1.17.2 | runtime | 8 bytes at 0x507880
    github.com/evanw/esbuild | pkg:golang/github.com/evanw/esbuild | (devel) | runtime | root | 38 bytes at 0x488ef9
    ");
}

#[test]
fn go_inline() {
    assert_snapshot!(go(include_bytes!("../data/go1.23-elf.gz")), @r"
    stdlib | pkg:golang/stdlib | 1.23.5 | runtime | 8 bytes at 0x974021
    github.com/evanw/esbuild | pkg:golang/github.com/evanw/esbuild | (devel) | runtime | root | 38 bytes at 0x974065
    golang.org/x/sys | pkg:golang/golang.org/x/sys | v0.0.0-20220715151400-c0bba94af5f8 | runtime | h1:0A+M6Uqn+Eje4kHMK80dtF3JCXC4ykBgQG4Fe06QRhQ= | 104 bytes at 0x97408b
    ");
}

#[test]
fn go_without_a_table_of_sections() {
    for bytes in [
        &include_bytes!("../data/go1.17-elf.gz")[..],
        include_bytes!("../data/go1.23-elf.gz"),
    ] {
        let mut program = unpack(bytes);
        let whole = declared("esbuild", &program);
        // e_shoff, e_shnum and e_shstrndx of a 64-bit ELF header.
        program[0x28..0x30].fill(0);
        program[0x3c..0x40].fill(0);
        assert_eq!(declared("esbuild", &program), whole);
    }
}

#[test]
fn go_cut_short() {
    let program = unpack(include_bytes!("../data/go1.23-elf.gz"));
    // Within the list of modules: the header is there and points beyond the end.
    let cut = &program[..9_912_500];
    let parts = declared("esbuild", cut);
    assert_eq!(parts.parts, []);
    assert!(!parts.problems.is_empty());
}

#[test]
fn rust() {
    let program = unpack(include_bytes!("../data/auditable-elf.gz"));
    assert_snapshot!(table(&declared("bin/sample", &program)), @r"
    helper | pkg:generic/helper | 0.0.1 | runtime | Local | 260 bytes at 0x45e42
    itoa | pkg:cargo/itoa | 1.0.18 | runtime | 260 bytes at 0x45e42
    proc-macro2 | pkg:cargo/proc-macro2 | 1.0.107 | build | 260 bytes at 0x45e42
    quote | pkg:cargo/quote | 1.0.47 | build | 260 bytes at 0x45e42
    sample | pkg:generic/sample | 0.3.1 | runtime | root | Local | 260 bytes at 0x45e42
    semver | pkg:cargo/semver | 1.0.28 | build | 260 bytes at 0x45e42
    serde | pkg:cargo/serde | 1.0.229 | runtime | 260 bytes at 0x45e42
    serde_core | pkg:cargo/serde-core | 1.0.229 | runtime | 260 bytes at 0x45e42
    serde_derive | pkg:cargo/serde-derive | 1.0.229 | build | 260 bytes at 0x45e42
    syn | pkg:cargo/syn | 3.0.9 | build | 260 bytes at 0x45e42
    unicode-ident | pkg:cargo/unicode-ident | 1.0.27 | build | 260 bytes at 0x45e42
    ");
}

/// The section as cargo-auditable would write it.
fn section(json: &str) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(json.as_bytes()).unwrap();
    zlib.finish().unwrap()
}

const SOURCES: &str = r#"{"packages":[
    {"name":"adler2","version":"2.0.0","source":"crates.io"},
    {"name":"cc","version":"1.2.3","source":"crates.io","kind":"build"},
    {"name":"forked","version":"0.1.0","source":"git"},
    {"name":"house","version":"4.0.0","source":"registry"},
    {"name":"top","version":"0.0.1","source":"local","root":true,"dependencies":[0,1,2,3]},
    {"name":"bad\nname","version":"1.0.0","source":"crates.io"}
]}"#;

fn object(
    format: BinaryFormat,
    architecture: Architecture,
    endian: Endianness,
    data: &[u8],
) -> Vec<u8> {
    let mut object = Object::new(format, architecture, endian);
    let segment = object.segment_name(StandardSegment::Data).to_vec();
    let id = object.add_section(segment, b".dep-v0".to_vec(), SectionKind::ReadOnlyData);
    object.append_section_data(id, data, 1);
    object.write().unwrap()
}

#[test]
fn rust_in_every_format() {
    let data = section(SOURCES);
    let little = Endianness::Little;
    let big = Endianness::Big;
    let elf = object(BinaryFormat::Elf, Architecture::PowerPc64, big, &data);
    let parts = declared("x", &elf);
    assert_snapshot!(table(&parts), @r#"
    adler2 | pkg:cargo/adler2 | 2.0.0 | runtime | 187 bytes at 0x40
    cc | pkg:cargo/cc | 1.2.3 | build | 187 bytes at 0x40
    forked | pkg:generic/forked | 0.1.0 | runtime | Repository("git") | 187 bytes at 0x40
    house | pkg:generic/house | 4.0.0 | runtime | Elsewhere("registry") | 187 bytes at 0x40
    top | pkg:generic/top | 0.0.1 | runtime | root | Local | 187 bytes at 0x40
    problem: 187 bytes at 0x40, `cargo/bad\nname` is not a package: expected type/name, as in pypi/werkzeug
    "#);
    let mut fat = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1];
    let inner = object(BinaryFormat::MachO, Architecture::Aarch64, little, &data);
    let length = u32::try_from(inner.len()).unwrap();
    for number in [0x0100_000c, 0, 4096, length, 12] {
        fat.extend(number.to_be_bytes());
    }
    fat.resize(4096, 0);
    fat.extend(&inner);
    let mut wasm = b"\0asm\x01\0\0\0\x01\x01\0\0".to_vec();
    wasm.push(u8::try_from(8 + data.len()).unwrap() | 0x80);
    wasm.push(u8::try_from((8 + data.len()) >> 7).unwrap());
    wasm.push(7);
    wasm.extend(b".dep-v0");
    wasm.extend(&data);
    let others = [
        object(BinaryFormat::Elf, Architecture::Arm, little, &data),
        inner,
        fat,
        wasm,
        pe(&data),
    ];
    for bytes in others {
        let again = declared("x", &bytes);
        let names = |parts: &Parts| parts.parts.iter().map(Part::purl).collect::<Vec<_>>();
        assert_eq!(names(&again), names(&parts));
        let proof = proof(&bytes, again.parts[0].place.span);
        assert_eq!(&proof[..data.len()], data);
    }
}

#[test]
fn a_module_of_another_compiler_says_nothing_and_is_no_problem() {
    // One section of types, and one with a name of its own.
    let wasm = b"\0asm\x01\0\0\0\x01\x01\0\0\x05\x04name";
    assert_eq!(declared("lib/webp_codec.wasm", wasm), Parts::default());
    // A component, whose sections are others.
    let component = b"\0asm\x0d\0\x01\0\x07\x01\0";
    assert_eq!(declared("lib/x.wasm", component), Parts::default());
    let kind = kind_of("x.wasm", wasm).unwrap();
    let error = read(kind, "x.wasm", &wasm[..9], &Limits::default()).unwrap_err();
    assert_snapshot!(error, @"not a WebAssembly module: a section has no size");
}

/// A PE file with one section.
fn pe(data: &[u8]) -> Vec<u8> {
    use object::pe;
    use object::write::pe::{NtHeaders, Writer};
    let mut out = Vec::new();
    let mut writer = Writer::new(true, 0x1000, 0x200, &mut out);
    writer.reserve_dos_header_and_stub();
    writer.reserve_nt_headers(16);
    writer.reserve_section_headers(1);
    let length = u32::try_from(data.len()).unwrap();
    let range = writer.reserve_section(
        *b".dep-v0\0",
        pe::IMAGE_SCN_CNT_INITIALIZED_DATA | pe::IMAGE_SCN_MEM_READ,
        length,
        length,
    );
    writer.write_dos_header_and_stub().unwrap();
    writer.write_nt_headers(NtHeaders {
        machine: pe::IMAGE_FILE_MACHINE_AMD64,
        time_date_stamp: 0,
        characteristics: pe::IMAGE_FILE_EXECUTABLE_IMAGE,
        major_linker_version: 0,
        minor_linker_version: 0,
        address_of_entry_point: 0,
        image_base: 0x1_4000_0000,
        major_operating_system_version: 0,
        minor_operating_system_version: 0,
        major_image_version: 0,
        minor_image_version: 0,
        major_subsystem_version: 0,
        minor_subsystem_version: 0,
        subsystem: pe::IMAGE_SUBSYSTEM_WINDOWS_CUI,
        dll_characteristics: pe::DllFlags(0),
        size_of_stack_reserve: 0,
        size_of_stack_commit: 0,
        size_of_heap_reserve: 0,
        size_of_heap_commit: 0,
    });
    writer.write_section_headers();
    writer.write_section(range.file_offset, data);
    drop(writer);
    out
}

#[test]
fn a_bomb_is_not_unpacked() {
    let data = section(&" ".repeat(1 << 20));
    assert!(data.len() < 4096);
    let elf = object(
        BinaryFormat::Elf,
        Architecture::X86_64,
        Endianness::Little,
        &data,
    );
    let limits = Limits {
        text: 1 << 16,
        ..Limits::default()
    };
    let kind = kind_of("x", &elf).unwrap();
    let parts = read(kind, "x", &*elf, &limits).unwrap();
    assert_snapshot!(table(&parts), @"problem: 1040 bytes at 0x40, the cargo-auditable data is larger than the limit");
}

#[test]
fn no_program_after_the_magic() {
    let kind = kind_of("x", b"\x7fELF\x02\x01\x01").unwrap();
    let error = read(kind, "x", &b"\x7fELF\x02\x01\x01"[..], &Limits::default()).unwrap_err();
    assert!(matches!(error, PartsError::Malformed { .. }));
    assert_snapshot!(error, @"not a program: Could not read file magic");
}

#[test]
fn no_windows_program_after_the_magic() {
    // As programs of DOS begin, and texts may.
    let text = b"MZ".repeat(64);
    assert_eq!(declared("x.exe", &text), Parts::default());
}

/// A program with a section of its own.
fn with(section: &str, content: &[u8]) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let id = object.add_section(Vec::new(), section.into(), SectionKind::ReadOnlyData);
    object.append_section_data(id, content, 1);
    object.write().unwrap()
}

#[test]
fn runtimes_say_their_version() {
    let node = with(
        ".rodata",
        b"host\0node.js/v\0node.js/v24.19.0Protocol-Version\0",
    );
    let parts = declared("lib/driver/node", &node);
    assert_snapshot!(table(&parts), @"nodejs | pkg:generic/nodejs | 24.19.0 | runtime | 16 bytes at 0x4f");
    let part = parts.parts.first().unwrap();
    assert_eq!(part.by, Declared::Runtime);
    assert_eq!(proof(&node, part.place.span), b"node.js/v24.19.0");

    let std = with(
        ".comment",
        b"GCC: (GNU) 13\0rustc version 1.95.0 (59807616e 2026-04-14)\0",
    );
    assert_snapshot!(table(&declared("lib/libstd-0123456789abcdef.so", &std)), @"rustc | pkg:generic/rustc | 1.95.0 | runtime | 20 bytes at 0x4e");
}

#[test]
fn only_a_runtime_is_a_runtime() {
    let node = with(".rodata", b"node.js/v24.19.0\0");
    let std = with(".comment", b"rustc version 1.95.0 (59807616e 2026-04-14)\0");
    for (path, program) in [
        ("bin/curl", &node),
        ("bin/rg", &std),
        ("lib/libstd-x.so", &node),
        ("bin/node", &std),
    ] {
        assert_eq!(declared(path, program).parts, [], "{path}");
    }
    let cut = with(".rodata", b"node.js/v24.19");
    assert_eq!(declared("bin/node", &cut).parts, []);
}
