//! Store paths, one a line, as `nix-store -qR` and `nix path-info -r` print them: names, and
//! nothing else.

use snowguard_inventory::{Gap, Nature, SubjectBuilder};
use snowguard_store::path::PathError;
use snowguard_store::{Quoted, StoreDir};

/// A line that is no store path.
#[derive(Debug)]
pub(crate) struct BadLine {
    pub(crate) line: usize,
    pub(crate) source: PathError,
}

/// Adds the paths; whether they are what something needs at run time, or derivations.
pub(crate) fn add(builder: &mut SubjectBuilder, text: &[u8]) -> Result<Nature, BadLine> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut derivations = false;
    let mut paths = 0;
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        // `nix path-info -s` and the like print more after the path.
        let Some(path) = line
            .split(u8::is_ascii_whitespace)
            .find(|word| !word.is_empty())
        else {
            continue;
        };
        let bad = |source| BadLine {
            line: at + 1,
            source,
        };
        let path = std::str::from_utf8(path).map_err(|_| {
            bad(PathError::Relative {
                path: Quoted::new(path),
            })
        })?;
        let (_, object) = StoreDir::split(path).map_err(bad)?;
        let name = object.name();
        derivations |= object.is_drv();
        let name = name.strip_drv().unwrap_or(name.as_str());
        builder.object(path, name, |_| {});
        paths += 1;
    }
    builder.gap(Gap::NoDependencies);
    builder.gap(Gap::NoDerivations {
        missing: paths,
        of: paths,
    });
    if derivations {
        return Ok(Nature::BuildTime);
    }
    let nodes: Vec<_> = builder.nodes().collect();
    for node in nodes {
        if let Some(object) = builder.get_mut(node) {
            object.run_time = true;
        }
    }
    Ok(Nature::RunTime)
}
