//! A mirror of advisory feeds, packed as the feeds pack theirs: for a server or for a folder.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the folders that are mirrors"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Cursor, Write as _};
use std::path::Path;

use data_encoding::HEXUPPER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::web::Web;

/// A record by its id, as bytes of JSON.
pub type Named = (String, Vec<u8>);

/// All files of a mirror, by path from its root.
#[derive(Default)]
pub struct Mirror {
    files: BTreeMap<String, Vec<u8>>,
    releases: Vec<Value>,
}

impl Mirror {
    /// CISA's catalogue: when it was released (RFC 3339), and its entries.
    pub fn kev(&mut self, released: &str, entries: &[Value]) {
        let catalogue = json!({
            "title": "CISA Catalog of Known Exploited Vulnerabilities",
            "catalogVersion": released.get(..10).unwrap_or(released).replace('-', "."),
            "dateReleased": released,
            "count": entries.len(),
            "vulnerabilities": entries,
        });
        let path = "kev/known_exploited_vulnerabilities.json";
        self.put(path, catalogue.to_string().into_bytes());
    }

    /// FIRST's scores of a day: id, probability and percentile.
    pub fn epss(&mut self, day: &str, rows: &[(&str, f64, f64)]) -> io::Result<()> {
        let mut text = format!("#model_version:v2025.03.14,score_date:{day}T12:55:00Z\n");
        text += "cve,epss,percentile\n";
        for (id, probability, percentile) in rows {
            let _ = writeln!(text, "{id},{probability:.5},{percentile:.5}");
        }
        let packed = gzip(text.as_bytes())?;
        self.put("epss/epss_scores-current.csv.gz", packed);
        Ok(())
    }

    /// The whole CVE list as it was when a day began: a zip in a zip.
    pub fn cve_whole(&mut self, day: &str, records: &[Named]) -> io::Result<()> {
        let members = records.iter().map(|(id, record)| {
            let mut parts = id.split('-').skip(1);
            let year = parts.next().unwrap_or_default();
            let number = parts.next().unwrap_or_default();
            let thousand = &number[..number.len().saturating_sub(3)];
            (
                format!("cves/{year}/{thousand}xxx/{id}.json"),
                record.clone(),
            )
        });
        let mut inner: Vec<Named> = members.collect();
        inner.push(("cves/delta.json".into(), b"{}".to_vec()));
        let inner = zip(&inner, CompressionMethod::Deflated)?;
        // What is packed already does not get smaller.
        let outer = zip(&[("cves.zip".into(), inner)], CompressionMethod::Stored)?;
        self.release(&format!("{day}_all_CVEs_at_midnight.zip.zip"), outer);
        Ok(())
    }

    /// What changed in the CVE list on a day; with an hour (`1300Z`) until then.
    pub fn cve_delta(
        &mut self,
        day: &str,
        until: Option<&str>,
        records: &[Named],
    ) -> io::Result<()> {
        let members = records
            .iter()
            .map(|(id, record)| (format!("deltaCves/{id}.json"), record.clone()));
        let members: Vec<Named> = members.collect();
        let packed = zip(&members, CompressionMethod::Deflated)?;
        let until = until.unwrap_or("end_of_day");
        self.release(&format!("{day}_delta_CVEs_at_{until}.zip"), packed);
        Ok(())
    }

    /// Takes files of the CVE list away whose names hold a text.
    pub fn cve_forget(&mut self, text: &str) {
        let keep = |release: &Value| {
            let name = release["assets"][0]["name"].as_str();
            !name.is_some_and(|name| name.contains(text))
        };
        self.releases.retain(keep);
        self.files
            .retain(|path, _| !(path.starts_with("cve/") && path.contains(text)));
        self.list_releases();
    }

    /// A file of NVD's: a year or `modified`, when it was modified (RFC 3339), and its items.
    pub fn nvd(&mut self, name: &str, modified: &str, items: &[Value]) -> io::Result<()> {
        let feed = json!({
            "resultsPerPage": items.len(),
            "startIndex": 0,
            "totalResults": items.len(),
            "format": "NVD_CVE",
            "version": "2.0",
            "timestamp": modified,
            "vulnerabilities": items,
        });
        self.nvd_bytes(name, modified, feed.to_string().as_bytes())
    }

    /// A file of NVD's as it is.
    pub fn nvd_bytes(&mut self, name: &str, modified: &str, feed: &[u8]) -> io::Result<()> {
        let packed = gzip(feed)?;
        let meta = format!(
            "lastModifiedDate:{modified}\r\nsize:{}\r\nzipSize:{}\r\ngzSize:{}\r\nsha256:{}\r\n",
            feed.len(),
            packed.len() + 136,
            packed.len(),
            HEXUPPER.encode(&Sha256::digest(feed)),
        );
        self.put(&format!("nvd/nvdcve-2.0-{name}.meta"), meta.into_bytes());
        self.put(&format!("nvd/nvdcve-2.0-{name}.json.gz"), packed);
        Ok(())
    }

    /// An ecosystem of OSV: its records, which have `id` and `modified`.
    pub fn osv(&mut self, ecosystem: &str, records: &[Value]) -> io::Result<()> {
        let text =
            |record: &Value, field: &str| record[field].as_str().unwrap_or_default().to_owned();
        let mut list: Vec<_> = records
            .iter()
            .map(|record| (text(record, "modified"), text(record, "id")))
            .collect();
        list.sort_by(|a, b| b.cmp(a));
        let mut csv = String::new();
        for (modified, id) in list {
            let _ = writeln!(csv, "{modified},{id}");
        }
        let folder = format!("osv/{ecosystem}/");
        self.files.retain(|path, _| !path.starts_with(&folder));
        let members = records.iter().map(|record| {
            (
                format!("{}.json", text(record, "id")),
                record.to_string().into_bytes(),
            )
        });
        let members: Vec<Named> = members.collect();
        let packed = zip(&members, CompressionMethod::Deflated)?;
        self.put(&format!("{folder}all.zip"), packed);
        self.put(&format!("{folder}modified_id.csv"), csv.into_bytes());
        for (name, record) in members {
            self.put(&format!("{folder}{name}"), record);
        }
        Ok(())
    }

    /// Puts any file.
    pub fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.insert(path.to_owned(), bytes);
    }

    /// Takes any file away.
    pub fn remove(&mut self, path: &str) {
        self.files.remove(path);
    }

    /// A file.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// How many bytes all files have.
    pub fn size(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }

    /// Puts all files on a server, and takes away what is not in the mirror.
    pub fn serve(&self, web: &Web) {
        for path in web.paths() {
            if !self.files.contains_key(path.trim_start_matches('/')) {
                web.remove(&path);
            }
        }
        for (path, bytes) in &self.files {
            web.put(&format!("/{path}"), bytes.clone());
        }
    }

    /// Writes all files into a folder.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        for (path, bytes) in &self.files {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, bytes)?;
        }
        Ok(())
    }

    fn release(&mut self, name: &str, bytes: Vec<u8>) {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
        let asset = json!({
            "name": name,
            "size": bytes.len(),
            "digest": format!("sha256:{digest}"),
            "browser_download_url": format!("https://github.com/CVEProject/cvelistV5/releases/download/cve/{name}"),
        });
        self.releases
            .retain(|release| release["assets"][0]["name"] != name);
        self.releases
            .insert(0, json!({ "tag_name": "cve", "assets": [asset] }));
        self.put(&format!("cve/{name}"), bytes);
        self.list_releases();
    }

    fn list_releases(&mut self) {
        let list = Value::Array(self.releases.clone()).to_string();
        self.put("cve/releases.json", list.into_bytes());
    }
}

/// A zip archive of members by name.
pub fn zip(members: &[Named], method: CompressionMethod) -> io::Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in members {
        zip.start_file(name.as_str(), options)?;
        zip.write_all(content)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Bytes, packed with gzip.
pub fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes)?;
    gzip.finish()
}
