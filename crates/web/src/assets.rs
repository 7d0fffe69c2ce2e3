//! Files that every page needs: style, script, icon. Their names hold a hash of their content, so that
//! browsers may keep them for ever; they are compressed once.

use std::io::Write as _;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use snowguard_report::html::BASE_STYLE;
use snowguard_store::{Hash, HashAlgo, Notation};

/// The files, by what they are for.
#[derive(Debug)]
pub struct Assets {
    /// The address of the style sheet.
    pub style: String,
    /// The address of the script.
    pub script: String,
    /// The address of the icon.
    pub icon: String,
    files: Vec<Asset>,
}

/// One file.
#[derive(Debug)]
pub struct Asset {
    /// Its address.
    pub path: String,
    /// Its media type.
    pub media_type: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// The same, compressed with gzip.
    pub gzip: Vec<u8>,
}

impl Assets {
    /// All files.
    pub fn files(&self) -> &[Asset] {
        &self.files
    }

    /// The file at an address.
    pub fn at(&self, path: &str) -> Option<&Asset> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// The files of this program.
pub fn assets() -> &'static Assets {
    static ASSETS: OnceLock<Assets> = OnceLock::new();
    ASSETS.get_or_init(|| {
        let style = format!("{BASE_STYLE}\n{STYLE}");
        let files = vec![
            asset("style", "css", "text/css; charset=utf-8", style),
            asset(
                "script",
                "js",
                "text/javascript; charset=utf-8",
                SCRIPT.into(),
            ),
            asset("icon", "svg", "image/svg+xml", ICON.into()),
        ];
        let path = |at: usize| files[at].path.clone();
        Assets {
            style: path(0),
            script: path(1),
            icon: path(2),
            files,
        }
    })
}

fn asset(name: &str, extension: &str, media_type: &'static str, text: String) -> Asset {
    let hash = Hash::of(HashAlgo::Sha256, text.as_bytes())
        .map(|hash| hash.to_notation(Notation::Hex))
        .unwrap_or_default();
    let hash = hash.rsplit(':').next().unwrap_or_default();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let gzip = encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish())
        .unwrap_or_default();
    Asset {
        path: format!("/static/{name}.{}.{extension}", &hash[..hash.len().min(16)]),
        media_type,
        bytes: text.into_bytes(),
        gzip,
    }
}

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/script.js");
const ICON: &str = include_str!("../assets/icon.svg");

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn names_hold_hashes_and_the_compressed_form_is_the_same() {
        for file in assets().files() {
            let parts: Vec<&str> = file.path.split('.').collect();
            assert_eq!(parts.len(), 3, "{}", file.path);
            assert_eq!(parts[1].len(), 16);
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&file.gzip[..])
                .read_to_end(&mut text)
                .unwrap();
            assert_eq!(text, file.bytes);
            assert!(
                file.gzip.len() < 10_000,
                "{} {}",
                file.path,
                file.gzip.len()
            );
        }
    }
}
