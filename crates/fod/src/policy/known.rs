//! What is known of hosts and package managers, whoever asks.
//!
//! Sources: the documentation of each host and tool, and the redirects that they answer with. Hosts that
//! redirect to mirrors of others' (`ftpmirror.gnu.org`) are not here: those are named by an exception, or are
//! among the mirrors of Nixpkgs already.

/// Where a host redirects to, beside itself.
const REDIRECTS: &[(&str, &[&str])] = &[
    (
        "github.com",
        &["codeload.github.com", "*.githubusercontent.com"],
    ),
    (
        "api.github.com",
        &["codeload.github.com", "*.githubusercontent.com"],
    ),
    (
        "gist.github.com",
        &["codeload.github.com", "*.githubusercontent.com"],
    ),
    ("bitbucket.org", &["bbuseruploads.s3.amazonaws.com"]),
    ("crates.io", &["static.crates.io"]),
    ("pypi.io", &["pypi.org", "files.pythonhosted.org"]),
    ("pypi.org", &["files.pythonhosted.org"]),
    ("pypi.python.org", &["pypi.org", "files.pythonhosted.org"]),
    (
        "downloads.sourceforge.net",
        &["*.dl.sourceforge.net", "downloads.sourceforge.net"],
    ),
    (
        "prdownloads.sourceforge.net",
        &["*.dl.sourceforge.net", "downloads.sourceforge.net"],
    ),
    (
        "sourceforge.net",
        &["*.dl.sourceforge.net", "downloads.sourceforge.net"],
    ),
    ("launchpad.net", &["launchpadlibrarian.net"]),
    ("code.launchpad.net", &["launchpadlibrarian.net"]),
    ("proxy.golang.org", &["storage.googleapis.com"]),
    (
        "www.apache.org",
        &[
            "dlcdn.apache.org",
            "downloads.apache.org",
            "archive.apache.org",
        ],
    ),
    ("huggingface.co", &["*.hf.co", "*.huggingface.co"]),
    (
        "registry-1.docker.io",
        &["auth.docker.io", "production.cloudflare.docker.com"],
    ),
    ("hackage.haskell.org", &["hackage-content.haskell.org"]),
    ("search.maven.org", &["repo1.maven.org"]),
    ("go.dev", &["dl.google.com"]),
    ("golang.org", &["go.dev", "dl.google.com"]),
];

/// What a package manager fetches from where nothing is said. Repositories that a lock file names beside its
/// registry are not known without that file: those are named by an exception.
const TOOLS: &[(&str, &[&str])] = &[
    ("bower", &["registry.bower.io"]),
    ("bun", &["registry.npmjs.org"]),
    ("bundler", &["rubygems.org", "index.rubygems.org"]),
    ("cabal", &["hackage.haskell.org"]),
    (
        "cargo",
        &["crates.io", "static.crates.io", "index.crates.io"],
    ),
    ("clojure", &["repo1.maven.org", "repo.clojars.org"]),
    (
        "composer",
        &[
            "repo.packagist.org",
            "packagist.org",
            "api.github.com",
            "codeload.github.com",
        ],
    ),
    ("conan", &["center2.conan.io"]),
    ("coursier", MAVEN),
    (
        "deno",
        &["deno.land", "jsr.io", "npm.jsr.io", "registry.npmjs.org"],
    ),
    ("dub", &["code.dlang.org"]),
    (
        "elm",
        &["package.elm-lang.org", "github.com", "codeload.github.com"],
    ),
    (
        "go",
        &[
            "proxy.golang.org",
            "sum.golang.org",
            "storage.googleapis.com",
        ],
    ),
    (
        "gradle",
        &[
            "repo.maven.apache.org",
            "repo1.maven.org",
            "plugins.gradle.org",
            "plugins-artifacts.gradle.org",
        ],
    ),
    ("hex", &["repo.hex.pm", "hex.pm", "builds.hex.pm"]),
    ("julia", &["pkg.julialang.org", "*.pkg.julialang.org"]),
    ("leiningen", &["repo1.maven.org", "repo.clojars.org"]),
    ("luarocks", &["luarocks.org"]),
    ("maven", MAVEN),
    ("mill", MAVEN),
    ("npm", &["registry.npmjs.org"]),
    (
        "nuget",
        &["api.nuget.org", "globalcdn.nuget.org", "www.nuget.org"],
    ),
    ("opam", &["opam.ocaml.org"]),
    ("pip", &["pypi.org", "files.pythonhosted.org"]),
    ("pnpm", &["registry.npmjs.org"]),
    (
        "pub",
        &["pub.dev", "pub.dartlang.org", "storage.googleapis.com"],
    ),
    (
        "sbt",
        &["repo1.maven.org", "repo.scala-sbt.org", "repo.typesafe.com"],
    ),
    ("scala-cli", MAVEN),
    ("stack", &["hackage.haskell.org", "casa.stackage.org"]),
    ("yarn", &["registry.yarnpkg.com", "registry.npmjs.org"]),
];

const MAVEN: &[&str] = &["repo.maven.apache.org", "repo1.maven.org"];

/// Where a host is known to redirect to.
pub(super) fn redirects_of(host: &str) -> &'static [&'static str] {
    let found = REDIRECTS.iter().find(|(known, _)| *known == host);
    found.map_or(&[], |(_, targets)| targets)
}

/// From where a tool is known to fetch.
pub(super) fn hosts_of(tool: &str) -> &'static [&'static str] {
    let found = TOOLS.iter().find(|(known, _)| *known == tool);
    found.map_or(&[], |(_, hosts)| hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::HostPattern;

    #[test]
    fn every_host_is_one() {
        let targets = REDIRECTS.iter().flat_map(|(_, targets)| *targets);
        for host in targets.chain(TOOLS.iter().flat_map(|(_, hosts)| *hosts)) {
            assert!(HostPattern::parse(host).is_some(), "{host}");
        }
    }
}
