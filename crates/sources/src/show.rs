//! The JSON of `nix derivation show`, in every form, on all cores.
//!
//! The document is cut between its derivations, which is cheap, and the pieces are read side by
//! side. What cannot be cut, or breaks in a piece, is read again as a whole: the reader of
//! `snowguard-store` has the last word on what is right, and on what an error says.

use rayon::prelude::*;
use snowguard_store::StoreDir;
use snowguard_store::derivation::json::{DerivationSet, JsonError, JsonLimits};

use crate::derivations::{Reduced, Reduction};
use crate::json_pieces::{as_object, cut, first_key, inside_braces, value_of};
use crate::options::Limits;

/// Reads and reduces all derivations, in the order of the document.
///
/// The newest form names no store directory: then it is `dir`, else Nix's own.
pub(crate) fn read(
    json: &[u8],
    dir: Option<&StoreDir>,
    limits: &Limits,
) -> Result<Reduction, JsonError> {
    let limits = JsonLimits {
        derivations: limits.objects,
        ..JsonLimits::default()
    };
    let first = members(json).and_then(first_key);
    let dir = dir.filter(|_| first.is_none_or(|key| !key.starts_with('/')));
    if let Some(reduction) = in_pieces(json, dir, &limits) {
        return Ok(reduction);
    }
    let set = DerivationSet::from_json_with(json, dir, &limits)?;
    Ok(reduction(set))
}

fn reduction(set: DerivationSet) -> Reduction {
    let DerivationSet { dir, derivations } = set;
    let derivations = derivations
        .into_par_iter()
        .map(|(path, drv)| Reduced::of(path, drv, &dir))
        .collect();
    Reduction { dir, derivations }
}

/// Reads pieces of the document side by side; `None` if it does not lend itself to that.
fn in_pieces(json: &[u8], dir: Option<&StoreDir>, limits: &JsonLimits) -> Option<Reduction> {
    let pieces = cut(members(json)?)?;
    // Whole paths say which store they are in; the first one decides for all.
    let dir = match first_key(pieces.first()?)? {
        key if key.starts_with('/') => Some(StoreDir::split(key).ok()?.0),
        _ => dir.cloned(),
    };
    let read: Option<Vec<Reduction>> = pieces
        .par_iter()
        .map(|piece| {
            let set = DerivationSet::from_json_with(&as_object(piece), dir.as_ref(), limits);
            let set = set.ok()?;
            let DerivationSet { dir, derivations } = set;
            let reduced = derivations.into_iter();
            let reduced = reduced.map(|(path, drv)| Reduced::of(path, drv, &dir));
            let derivations = reduced.collect();
            Some(Reduction { dir, derivations })
        })
        .collect();
    let mut read = read?.into_iter();
    let mut whole = read.next()?;
    for piece in read {
        if piece.dir != whole.dir {
            return None;
        }
        whole.derivations.extend(piece.derivations);
    }
    (whole.derivations.len() <= limits.derivations).then_some(whole)
}

/// What is between the braces of the object that holds the derivations.
fn members(json: &[u8]) -> Option<&[u8]> {
    let outer = inside_braces(json)?;
    match first_key(outer)? {
        // `{"version": 4, "derivations": {..}}`, in either order.
        "version" | "derivations" => value_of(outer, "derivations").and_then(inside_braces),
        _ => Some(outer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#""/nix/store/2c9nir7ibvqlxsadns9dxqv9nc3rlzpc-a.drv": {"outputs": {"out": {"path": "/nix/store/58in3hsawf6g1adx99sphi460nzmaqxq-a"}}, "inputSrcs": [], "inputDrvs": {}, "system": "x", "builder": "b", "args": ["{\"],\\"], "env": {}}"#;

    fn many(count: usize) -> String {
        let one: Vec<String> = (0..count)
            .map(|n| ONE.replace("-a", &format!("-a{n}")))
            .collect();
        one.join(",\n")
    }

    #[test]
    fn pieces_are_the_whole() {
        let many = many(500);
        for json in [
            format!("{{{many}}}"),
            format!(" {{ {many}\n }} \n"),
            format!(r#"{{"version": 3, "derivations": {{ {many} }} }}"#),
            format!(r#"{{"derivations":{{{many}}},"version":3}}"#),
        ] {
            let limits = JsonLimits::default();
            assert!(cut(members(json.as_bytes()).unwrap()).unwrap().len() > 1);
            let pieces = in_pieces(json.as_bytes(), None, &limits).unwrap();
            let whole = reduction(DerivationSet::from_json(json.as_bytes(), None).unwrap());
            assert_eq!(pieces.dir, whole.dir);
            let facts = |reduction: &Reduction| -> Vec<String> {
                let all = reduction.derivations.iter();
                all.map(|drv| format!("{:?} {:?}", drv.path(), drv.recipe()))
                    .collect()
            };
            assert_eq!(facts(&pieces), facts(&whole));
        }
    }

    #[test]
    fn what_cannot_be_cut_is_read_as_a_whole() {
        let json = format!("{{{ONE}");
        assert!(in_pieces(json.as_bytes(), None, &JsonLimits::default()).is_none());
        assert!(read(json.as_bytes(), None, &Limits::default()).is_err());
        for json in ["", "{", "{}", "[]", "{\"", "{\"a\\\"}", "{\"a\":}}", "{]}"] {
            let _ = read(json.as_bytes(), None, &Limits::default());
        }
    }
}
