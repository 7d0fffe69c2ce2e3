//! What Java archives say of themselves.
//!
//! Maven leaves `META-INF/maven/GROUP/ARTIFACT/pom.properties`: the coordinate in the repository. A
//! shaded archive has one for each library that was merged into it. Without any there is the
//! manifest, whose names are not coordinates: from it comes a name and a version, and no Maven
//! package is made of them.
//!
//! Source: Maven Archiver; Java SE `java.util.jar` and `Properties`; the module layer of `OSGi` Core.

use std::collections::HashMap;

use crate::part::{Declared, Scope, Span};
use crate::read::{Draft, Sink};
use crate::text::Text;

/// What was found in one archive.
pub(super) struct Jar<'a> {
    /// The name of the file without what follows the last dot.
    stem: &'a str,
    /// It is the file, and not within another.
    outermost: bool,
    coordinates: usize,
    manifest: Option<Manifest>,
}

struct Manifest {
    member: String,
    name: String,
    version: String,
    span: Span,
}

impl<'a> Jar<'a> {
    pub(super) fn new(file: &'a str, outermost: bool) -> Self {
        Self {
            outermost,
            stem: file.rsplit_once('.').map_or(file, |(stem, _)| stem),
            coordinates: 0,
            manifest: None,
        }
    }

    /// Adds a library by its coordinate.
    pub(super) fn pom(&mut self, member: &str, text: &Text<'_>, sink: &mut Sink) {
        let mut fields: HashMap<&str, (String, Span)> = HashMap::new();
        for (span, line) in text.lines() {
            if line.trim_start().starts_with(['#', '!']) {
                continue;
            }
            if let Some((key, value)) = line.split_once(['=', ':'])
                && matches!(key.trim(), "groupId" | "artifactId" | "version")
            {
                // Backslashes escape what follows; in coordinates that is `:` or nothing.
                let value = value.trim().replace('\\', "");
                fields.insert(key.trim(), (value, span));
            }
        }
        let mut field = |key| fields.remove(key).filter(|(value, _)| !value.is_empty());
        // Maven has left the group out where it is inherited, and put it into the path all the same.
        let mut path = member.rsplit('/').skip(1).map(str::to_owned);
        let (in_path, group_in_path) = (path.next(), path.next());
        let artifact = field("artifactId").map(|(value, _)| value).or(in_path);
        let group = field("groupId").map(|(value, _)| value).or(group_in_path);
        let (Some(group), Some(artifact), Some((version, span))) =
            (group, artifact, field("version"))
        else {
            return sink.problem(Span::Whole, "a pom.properties without a coordinate");
        };
        // A build that filled in nothing.
        if version.contains("${") {
            return sink.problem(span, "a version that the build has not filled in");
        }
        self.coordinates += 1;
        let named = self
            .stem
            .strip_prefix(&*artifact)
            .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-') == Some(&*version));
        let name = format!("{group}/{artifact}");
        let draft = Draft::new("maven", &name, &version, span);
        sink.add(
            Declared::PomProperties,
            draft.scope(Scope::Runtime).root(named && self.outermost),
        );
    }

    /// Remembers what the manifest says, for [`Jar::finish`].
    pub(super) fn manifest(&mut self, member: &str, text: &Text<'_>) {
        let fields = main_section(text);
        let field = |key: &str| {
            let of = |(name, _, _): &&(String, String, Span)| name.eq_ignore_ascii_case(key);
            let (_, value, span) = fields.iter().find(of)?;
            // Directives follow the name.
            let value = value.split(';').next().unwrap_or_default().trim();
            (!value.is_empty() && !value.contains("${")).then_some((value, *span))
        };
        // Names with the versions that go with them, the most precise first.
        let pairs = [
            ("Bundle-SymbolicName", "Bundle-Version"),
            ("Automatic-Module-Name", "Implementation-Version"),
            ("Implementation-Title", "Implementation-Version"),
        ];
        self.manifest = pairs.into_iter().find_map(|(name, version)| {
            let (name, span) = field(name)?;
            let (version, _) = field(version)?;
            Some(Manifest {
                member: member.to_owned(),
                name: name.to_owned(),
                version: version.to_owned(),
                span,
            })
        });
    }

    /// Adds what the manifest says, if nothing better was found.
    pub(super) fn finish(self, sink: &mut Sink) {
        let Some(manifest) = self.manifest.filter(|_| self.coordinates == 0) else {
            return;
        };
        sink.enter(&manifest.member);
        let draft = Draft::new("generic", &manifest.name, &manifest.version, manifest.span);
        sink.add(
            Declared::JarManifest,
            draft.scope(Scope::Runtime).root(self.outermost),
        );
        sink.leave();
    }
}

/// The names that are looked at.
const FIELDS: [&str; 5] = [
    "Bundle-SymbolicName",
    "Bundle-Version",
    "Automatic-Module-Name",
    "Implementation-Title",
    "Implementation-Version",
];

/// The fields of these names up to the first empty line. A line that begins with a space goes on with
/// the one before.
fn main_section(text: &Text<'_>) -> Vec<(String, String, Span)> {
    let mut fields: Vec<(String, String, Span)> = Vec::new();
    let mut wanted = false;
    for (span, line) in text.lines() {
        if line.is_empty() {
            break;
        }
        if let Some(more) = line.strip_prefix(' ') {
            if let Some((_, value, _)) = fields.last_mut().filter(|_| wanted) {
                value.push_str(more);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            wanted = FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
                && !fields
                    .iter()
                    .any(|(known, _, _)| known.eq_ignore_ascii_case(name));
            if wanted {
                let value = value.strip_prefix(' ').unwrap_or(value);
                fields.push((name.to_owned(), value.to_owned(), span));
            }
        }
    }
    fields
}
