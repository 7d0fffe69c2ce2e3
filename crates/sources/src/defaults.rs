//! What is read when nothing is named: the running system, else the user's own profile.

use std::path::{Path, PathBuf};

use crate::content::shown;
use crate::error::SourceError;
use crate::input::Input;
use crate::live::Store;
use crate::options::Options;

/// Where a user's profile could be, as the face learns it from its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_STATE_HOME`, if it is set.
    pub state_home: Option<PathBuf>,
}

/// The running system (`/run/current-system`), else the user's profile; of a store under another
/// root, the system that it boots.
pub fn default_input(home: &Home, options: &Options) -> Result<Input, SourceError> {
    let candidates = match options.store.as_ref().and_then(Store::root) {
        Some(root) => vec![
            root.join("run/current-system"),
            root.join("nix/var/nix/profiles/system"),
        ],
        None => candidates(Path::new("/run/current-system"), home),
    };
    first_of(&candidates, options)
}

fn candidates(system: &Path, home: &Home) -> Vec<PathBuf> {
    let mut candidates = vec![system.to_owned()];
    if let Some(home) = &home.home {
        candidates.push(home.join(".nix-profile"));
    }
    let state_home = home
        .state_home
        .clone()
        .or_else(|| Some(home.home.as_ref()?.join(".local/state")));
    if let Some(state_home) = state_home {
        candidates.push(state_home.join("nix/profile"));
    }
    candidates
}

fn first_of(candidates: &[PathBuf], options: &Options) -> Result<Input, SourceError> {
    for candidate in candidates {
        match Input::detect(candidate, options) {
            // Not there, or a link that leads nowhere.
            Err(SourceError::NotFound { .. }) => {}
            found => return found,
        }
    }
    Err(SourceError::NothingGiven {
        looked_for: candidates
            .iter()
            .map(|candidate| shown(candidate).to_string())
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_goes_before_profiles() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        let home = Home {
            home: Some(at("home")),
            state_home: None,
        };
        let candidates = candidates(&at("system"), &home);
        let options = Options::default();
        let found = |candidates: &[PathBuf]| {
            first_of(candidates, &options)
                .map(|input| input.name().replace(&*at("").to_string_lossy(), ""))
        };
        let error = found(&candidates).unwrap_err();
        assert!(error.hint().is_some());
        std::fs::create_dir_all(at("home/.local/state/nix/profile")).unwrap();
        assert_eq!(
            found(&candidates).unwrap(),
            "`home/.local/state/nix/profile`"
        );
        std::os::unix::fs::symlink(at("collected"), at("home/.nix-profile")).unwrap();
        assert_eq!(
            found(&candidates).unwrap(),
            "`home/.local/state/nix/profile`"
        );
        std::fs::remove_file(at("home/.nix-profile")).unwrap();
        std::fs::create_dir_all(at("home/.nix-profile")).unwrap();
        assert_eq!(found(&candidates).unwrap(), "`home/.nix-profile`");
        std::fs::create_dir_all(at("system")).unwrap();
        assert_eq!(found(&candidates).unwrap(), "`system`");
        let elsewhere = Home {
            state_home: Some(at("state")),
            ..Home::default()
        };
        let candidates = super::candidates(&at("none"), &elsewhere);
        assert_eq!(candidates[1], at("state/nix/profile"));
    }
}
