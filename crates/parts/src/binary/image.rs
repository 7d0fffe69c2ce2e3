//! Where in a program the declarations may stand, for every format of programs.

use object::elf::{FileHeader32, FileHeader64, PF_W, PT_LOAD, SHT_NOBITS};
use object::macho::{MachHeader32, MachHeader64};
use object::pe::{ImageDosHeader, ImageNtHeaders32, ImageNtHeaders64};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};
use object::read::macho::{
    FatArch, MachHeader, MachOFatFile32, MachOFatFile64, Section as _, Segment as _,
};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader as _};
use object::{Endianness, FileKind, ReadRef};

use super::Window;
use crate::part::Span;
use crate::read::{PartsError, Sink};

/// The section of cargo-auditable.
pub(super) const AUDITABLE: &[u8] = b".dep-v0";

/// Some bytes of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// Where they are when the program runs.
    pub(super) address: u64,
    /// Where they are in the file.
    pub(super) offset: u64,
    /// How many are in the file.
    pub(super) length: u64,
}

/// Where things are in a program.
#[derive(Debug, Default)]
pub(super) struct Image {
    /// What is in memory when the program runs.
    pub(super) mapped: Vec<Region>,
    /// The list of cargo-auditable.
    pub(super) auditable: Option<Region>,
    /// Where the build information of Go may begin: its own section, or data that can be written.
    pub(super) go: Vec<Region>,
    /// Whether [`Image::go`] is a section of its own, as opposed to a place to search.
    pub(super) go_section: bool,
    /// Constants, in ELF: `.rodata`.
    pub(super) constants: Option<Region>,
    /// What the compilers wrote about themselves, in ELF: `.comment`.
    pub(super) comment: Option<Region>,
}

/// More architectures in one file are not looked at.
const MOST_ARCHITECTURES: usize = 32;

impl Image {
    /// The program in a file, or the programs if it has one for each architecture.
    pub(super) fn read_all<'data, R: ReadRef<'data>>(
        data: Window<R>,
        sink: &mut Sink,
    ) -> Result<Vec<(Window<R>, Self)>, PartsError> {
        let kind = match FileKind::parse(data) {
            Ok(kind) => kind,
            // A program of DOS, or a text that begins like one: nothing that declares anything.
            Err(_) if data.bytes(0, 2) == Some(b"MZ") => return Ok(Vec::new()),
            Err(error) => return Err(malformed(&error)),
        };
        let arches: Vec<(u64, u64)> = match kind {
            FileKind::MachOFat32 => {
                let fat = MachOFatFile32::parse(data).map_err(|error| malformed(&error))?;
                fat.arches().iter().map(FatArch::file_range).collect()
            }
            FileKind::MachOFat64 => {
                let fat = MachOFatFile64::parse(data).map_err(|error| malformed(&error))?;
                fat.arches().iter().map(FatArch::file_range).collect()
            }
            _ => return Ok(vec![(data, Self::read(data, kind, sink)?)]),
        };
        let mut images = Vec::new();
        for (offset, length) in arches.into_iter().take(MOST_ARCHITECTURES) {
            let span = data.span(offset, length);
            let image = data
                .within(offset, length)
                .ok_or(PartsError::Unreadable)
                .and_then(|window| {
                    let kind = FileKind::parse(window).map_err(|error| malformed(&error))?;
                    Ok((window, Self::read(window, kind, sink)?))
                });
            match image {
                Ok(image) => images.push(image),
                Err(error) => sink.problem(span, error.to_string()),
            }
        }
        Ok(images)
    }

    fn read<'data, R: ReadRef<'data>>(
        data: Window<R>,
        kind: FileKind,
        sink: &mut Sink,
    ) -> Result<Self, PartsError> {
        match kind {
            FileKind::Elf32 => elf::<FileHeader32<Endianness>, _>(data, sink),
            FileKind::Elf64 => elf::<FileHeader64<Endianness>, _>(data, sink),
            FileKind::Pe32 => pe::<ImageNtHeaders32, _>(data),
            FileKind::Pe64 => pe::<ImageNtHeaders64, _>(data),
            FileKind::MachO32 => macho::<MachHeader32<Endianness>, _>(data),
            FileKind::MachO64 => macho::<MachHeader64<Endianness>, _>(data),
            // What the first bytes of none of these formats are.
            _ => return Ok(Self::default()),
        }
        .map_err(|error| malformed(&error))
    }
}

fn malformed(error: &object::Error) -> PartsError {
    PartsError::Malformed {
        format: "a program",
        what: error.to_string(),
    }
}

/// ELF: both have sections of their own. Where the table of sections was removed, the loadable
/// segments that can be written are searched for Go's.
fn elf<'data, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'data>>(
    data: Window<R>,
    sink: &mut Sink,
) -> object::Result<Image> {
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let mut image = Image::default();
    let mut writable = Vec::new();
    for segment in header.program_headers(endian, data)? {
        if segment.p_type(endian) != PT_LOAD {
            continue;
        }
        let (offset, length) = segment.file_range(endian);
        let region = Region {
            address: segment.p_vaddr(endian).into(),
            offset,
            length,
        };
        image.mapped.push(region);
        if segment.p_flags(endian).contains(PF_W) {
            writable.push(region);
        }
    }
    let sections = match header.sections(endian, data) {
        Ok(sections) => sections,
        Err(error) => {
            sink.problem(Span::Whole, format!("no table of sections: {error}"));
            image.go = writable;
            return Ok(image);
        }
    };
    let mut nameless = false;
    for section in sections.iter() {
        let Some((offset, length)) = section.file_range(endian) else {
            continue;
        };
        let region = Region {
            address: section.sh_addr(endian).into(),
            offset,
            length,
        };
        match sections.section_name(endian, section) {
            Ok(AUDITABLE) if section.sh_type(endian) != SHT_NOBITS => {
                image.auditable.get_or_insert(region);
            }
            Ok(b".go.buildinfo") => {
                image.go.push(region);
                image.go_section = true;
            }
            Ok(b".rodata") => {
                image.constants.get_or_insert(region);
            }
            Ok(b".comment") => {
                image.comment.get_or_insert(region);
            }
            Ok(_) => {}
            Err(_) => nameless = true,
        }
    }
    if nameless {
        sink.problem(Span::Whole, "sections without names: the file is damaged");
    }
    if image.go.is_empty() && (nameless || sections.len() <= 1) {
        image.go = writable;
    }
    Ok(image)
}

/// PE: cargo-auditable has a section; Go's stands at the beginning of initialised data.
fn pe<'data, Pe: ImageNtHeaders, R: ReadRef<'data>>(data: Window<R>) -> object::Result<Image> {
    let dos = ImageDosHeader::parse(data)?;
    let mut offset = dos.nt_headers_offset().into();
    let (nt, _) = Pe::parse(data, &mut offset)?;
    let sections = nt.sections(data, offset)?;
    let base = nt.optional_header().image_base();
    let mut image = Image::default();
    for section in sections.iter() {
        let (offset, length) = section.pe_file_range();
        let region = Region {
            address: base.wrapping_add(section.virtual_address.get(object::LittleEndian).into()),
            offset: offset.into(),
            length: length.into(),
        };
        image.mapped.push(region);
        if section.raw_name() == AUDITABLE {
            image.auditable.get_or_insert(region);
        }
        if section.raw_name() == b".data" {
            image.go.push(region);
        }
    }
    Ok(image)
}

/// Mach-O: both have sections of their own.
fn macho<'data, Mach: MachHeader<Endian = Endianness>, R: ReadRef<'data>>(
    data: Window<R>,
) -> object::Result<Image> {
    let header = Mach::parse(data, 0)?;
    let endian = header.endian()?;
    let mut commands = header.load_commands(endian, data, 0)?;
    let mut image = Image::default();
    while let Some(command) = commands.next()? {
        let Some((segment, section_data)) = Mach::Segment::from_command(command)? else {
            continue;
        };
        let (offset, length) = segment.file_range(endian);
        image.mapped.push(Region {
            address: segment.vmaddr(endian).into(),
            offset,
            length,
        });
        for section in segment.sections(endian, section_data)? {
            let Some((offset, length)) = section.file_range(endian, section.offset(endian).into())
            else {
                continue;
            };
            let region = Region {
                address: section.addr(endian).into(),
                offset,
                length,
            };
            if section.name() == AUDITABLE {
                image.auditable.get_or_insert(region);
            }
            if section.name() == b"__go_buildinfo" {
                image.go.push(region);
                image.go_section = true;
            }
        }
    }
    Ok(image)
}
