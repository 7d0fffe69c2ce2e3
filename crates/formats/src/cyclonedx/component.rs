//! A component and everything that hangs on it: identities, origin, evidence, patches.

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Serialize};

use super::license::{self, License};
use crate::iri;
use crate::json::null_as_default;
use crate::open_enum::open_enum;

/// One piece of software (or of something else) in a bill of materials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// What kind of thing it is.
    #[serde(rename = "type")]
    pub kind: ComponentType,
    /// By what the rest of the document refers to it: unique within the document.
    #[serde(default, rename = "bom-ref", skip_serializing_if = "Option::is_none")]
    pub bom_ref: Option<String>,
    /// Who supplied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplier: Option<Box<Organization>>,
    /// Who wrote it. Read from older documents; later versions of the format have a list instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Who published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// The name space of its name, such as a Maven group or an npm scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is needed at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Digests of it.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub hashes: Vec<Hash>,
    /// Its licences.
    #[serde(
        default,
        deserialize_with = "license::read_list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub licenses: Vec<License>,
    /// A CPE, of version 2.2 or 2.3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpe: Option<String>,
    /// A package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// What was done to it on the way here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pedigree: Option<Box<Pedigree>>,
    /// Links: sources, homepage, distribution and so on.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub external_references: Vec<ExternalReference>,
    /// The components that it holds.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub components: Vec<Component>,
    /// Why it is believed to be what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Evidence>>,
    /// Further facts.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub properties: Vec<Property>,
}

impl Component {
    /// A component of which only kind and name are known yet.
    pub fn new(kind: ComponentType, name: impl Into<String>) -> Self {
        Self {
            kind,
            bom_ref: None,
            supplier: None,
            author: None,
            publisher: None,
            group: None,
            name: name.into(),
            version: None,
            description: None,
            scope: None,
            hashes: Vec::new(),
            licenses: Vec::new(),
            cpe: None,
            purl: None,
            pedigree: None,
            external_references: Vec::new(),
            components: Vec::new(),
            evidence: None,
            properties: Vec::new(),
        }
    }

    /// The component with its `bom-ref`.
    #[must_use]
    pub fn with_ref(mut self, bom_ref: impl Into<String>) -> Self {
        self.bom_ref = Some(bom_ref.into());
        self
    }

    /// The value of the first property of this name.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties
            .iter()
            .find(|property| property.name == name)?
            .value
            .as_deref()
    }

    /// The patches that the pedigree names.
    pub fn patches(&self) -> &[Patch] {
        self.pedigree
            .as_deref()
            .map_or(&[], |pedigree| &pedigree.patches)
    }

    /// What was found about its identity.
    pub fn identity_evidence(&self) -> &[IdentityEvidence] {
        self.evidence
            .as_deref()
            .map_or(&[], |evidence| &evidence.identity)
    }
}

open_enum! {
    /// What kind of thing a component is.
    pub enum ComponentType {
        /// A program.
        Application = "application",
        /// A framework.
        Framework = "framework",
        /// A library, and whatever fits nothing else.
        Library = "library",
        /// A container image.
        Container = "container",
        /// A run-time platform.
        Platform = "platform",
        /// An operating system.
        OperatingSystem = "operating-system",
        /// A device.
        Device = "device",
        /// A device driver.
        DeviceDriver = "device-driver",
        /// Firmware.
        Firmware = "firmware",
        /// A file.
        File = "file",
        /// A machine-learning model.
        MachineLearningModel = "machine-learning-model",
        /// Data.
        Data = "data",
        /// A key, certificate, algorithm or protocol.
        CryptographicAsset = "cryptographic-asset",
    }
}

open_enum! {
    /// Whether a component is needed at run time.
    pub enum Scope {
        /// It is.
        Required = "required",
        /// The rest works without it.
        Optional = "optional",
        /// It is needed for building or testing, and not there at run time.
        Excluded = "excluded",
    }
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hash {
    /// The function.
    #[serde(rename = "alg")]
    pub algorithm: HashAlgorithm,
    /// The digest in hexadecimal.
    pub content: String,
}

impl Hash {
    /// A digest in hexadecimal.
    pub fn new(algorithm: HashAlgorithm, hex: impl Into<String>) -> Self {
        Self {
            algorithm,
            content: hex.into(),
        }
    }
}

open_enum! {
    /// A hash function.
    pub enum HashAlgorithm {
        /// MD5.
        Md5 = "MD5",
        /// SHA-1.
        Sha1 = "SHA-1",
        /// SHA-256.
        Sha256 = "SHA-256",
        /// SHA-384.
        Sha384 = "SHA-384",
        /// SHA-512.
        Sha512 = "SHA-512",
        /// SHA3-256.
        Sha3_256 = "SHA3-256",
        /// SHA3-384.
        Sha3_384 = "SHA3-384",
        /// SHA3-512.
        Sha3_512 = "SHA3-512",
        /// BLAKE2b-256.
        Blake2b256 = "BLAKE2b-256",
        /// BLAKE2b-384.
        Blake2b384 = "BLAKE2b-384",
        /// BLAKE2b-512.
        Blake2b512 = "BLAKE2b-512",
        /// BLAKE3.
        Blake3 = "BLAKE3",
    }
}

/// A further fact: a name from some taxonomy and its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Property {
    /// The name, such as `nix:drv_path`.
    pub name: String,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Property {
    /// A fact.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: Some(value.into()),
        }
    }
}

/// A person's or an organisation's name and sites.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Organization {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The sites.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        serialize_with = "iri::iri_list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub url: Vec<String>,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalReference {
    /// What it leads to.
    #[serde(rename = "type")]
    pub kind: ExternalReferenceType,
    /// Where it leads. What is illegal in an IRI is percent-encoded on writing.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        serialize_with = "iri::iri"
    )]
    pub url: String,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Digests of what is found there.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub hashes: Vec<Hash>,
}

impl ExternalReference {
    /// A link of this kind.
    pub fn new(kind: ExternalReferenceType, url: impl Into<String>) -> Self {
        Self {
            kind,
            url: url.into(),
            comment: None,
            hashes: Vec::new(),
        }
    }
}

open_enum! {
    /// What a link leads to.
    pub enum ExternalReferenceType {
        /// A version control system.
        Vcs = "vcs",
        /// An issue tracker.
        IssueTracker = "issue-tracker",
        /// A web site.
        Website = "website",
        /// Security advisories.
        Advisories = "advisories",
        /// A bill of materials.
        Bom = "bom",
        /// A mailing list.
        MailingList = "mailing-list",
        /// A social media account.
        Social = "social",
        /// A chat.
        Chat = "chat",
        /// Documentation.
        Documentation = "documentation",
        /// Community or commercial support.
        Support = "support",
        /// The sources that it was made from.
        SourceDistribution = "source-distribution",
        /// The thing itself.
        Distribution = "distribution",
        /// Where it was published.
        DistributionIntake = "distribution-intake",
        /// A licence text.
        License = "license",
        /// Build-system specific metadata.
        BuildMeta = "build-meta",
        /// An automated build system.
        BuildSystem = "build-system",
        /// Release notes.
        ReleaseNotes = "release-notes",
        /// How to report a vulnerability.
        SecurityContact = "security-contact",
        /// A model card.
        ModelCard = "model-card",
        /// A log.
        Log = "log",
        /// Configuration.
        Configuration = "configuration",
        /// Evidence.
        Evidence = "evidence",
        /// How it was made.
        Formulation = "formulation",
        /// An attestation.
        Attestation = "attestation",
        /// A threat model.
        ThreatModel = "threat-model",
        /// A model of adversaries.
        AdversaryModel = "adversary-model",
        /// A risk assessment.
        RiskAssessment = "risk-assessment",
        /// A statement that something is vulnerable.
        VulnerabilityAssertion = "vulnerability-assertion",
        /// A statement whether something is exploitable.
        ExploitabilityStatement = "exploitability-statement",
        /// A penetration test report.
        PentestReport = "pentest-report",
        /// A static analysis report.
        StaticAnalysisReport = "static-analysis-report",
        /// A dynamic analysis report.
        DynamicAnalysisReport = "dynamic-analysis-report",
        /// A run-time analysis report.
        RuntimeAnalysisReport = "runtime-analysis-report",
        /// A component analysis report.
        ComponentAnalysisReport = "component-analysis-report",
        /// A maturity report.
        MaturityReport = "maturity-report",
        /// A certification report.
        CertificationReport = "certification-report",
        /// Infrastructure as code.
        CodifiedInfrastructure = "codified-infrastructure",
        /// Quality metrics.
        QualityMetrics = "quality-metrics",
        /// A plan of action and milestones.
        Poam = "poam",
        /// An electronic signature.
        ElectronicSignature = "electronic-signature",
        /// A digital signature.
        DigitalSignature = "digital-signature",
        /// A `security.txt`.
        Rfc9116 = "rfc-9116",
        /// Anything else; the specification's own word, not an unknown value.
        Unlisted = "other",
    }
}

/// Why a component is believed to be what it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// What speaks for each part of its identity. A single entry outside of a list, as version 1.5
    /// has it, is read too.
    #[serde(
        default,
        deserialize_with = "read_identity",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub identity: Vec<IdentityEvidence>,
    /// Where it was found.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub occurrences: Vec<Occurrence>,
}

/// A place where a component was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Occurrence {
    /// The file.
    #[serde(default, deserialize_with = "null_as_default")]
    pub location: String,
    /// The line in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The byte in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Anything else about the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_context: Option<String>,
}

impl Occurrence {
    /// A file.
    pub fn at(location: impl Into<String>) -> Self {
        Self {
            location: location.into(),
            ..Self::default()
        }
    }
}

/// What speaks for one part of a component's identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityEvidence {
    /// The part.
    pub field: IdentityField,
    /// How sure it is, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The value that was concluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concluded_value: Option<String>,
    /// How.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub methods: Vec<IdentityMethod>,
}

open_enum! {
    /// A part of a component's identity.
    pub enum IdentityField {
        /// The group.
        Group = "group",
        /// The name.
        Name = "name",
        /// The version.
        Version = "version",
        /// The package URL.
        Purl = "purl",
        /// The CPE.
        Cpe = "cpe",
        /// The artifact identifier of `OmniBOR`.
        OmniborId = "omniborId",
        /// The Software Heritage identifier.
        Swhid = "swhid",
        /// The software identification tag.
        Swid = "swid",
        /// A digest.
        Hash = "hash",
    }
}

/// One way in which an identity was concluded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdentityMethod {
    /// The technique.
    pub technique: Technique,
    /// How sure it is, from 0 to 1.
    #[serde(default, deserialize_with = "null_as_default")]
    pub confidence: f64,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

open_enum! {
    /// How an identity was concluded.
    pub enum Technique {
        /// From source code.
        SourceCodeAnalysis = "source-code-analysis",
        /// From a binary.
        BinaryAnalysis = "binary-analysis",
        /// From a manifest, such as a derivation or a lock file.
        ManifestAnalysis = "manifest-analysis",
        /// From the shape of a syntax tree.
        AstFingerprint = "ast-fingerprint",
        /// By comparing digests.
        HashComparison = "hash-comparison",
        /// By instrumentation.
        Instrumentation = "instrumentation",
        /// By running it.
        DynamicAnalysis = "dynamic-analysis",
        /// From a file name.
        Filename = "filename",
        /// By someone's word.
        Attestation = "attestation",
        /// Any other way; the specification's own word, not an unknown value.
        Unlisted = "other",
    }
}

/// What was done to a component on the way here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pedigree {
    /// The patches that were applied.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub patches: Vec<Patch>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// A patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Where it comes from.
    #[serde(rename = "type")]
    pub kind: PatchType,
    /// The change itself, or where it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<Diff>,
    /// What it mends.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub resolves: Vec<Issue>,
}

impl Patch {
    /// A patch that is found at `url`.
    pub fn at(kind: PatchType, url: impl Into<String>) -> Self {
        Self {
            kind,
            diff: Some(Diff {
                text: None,
                url: Some(url.into()),
            }),
            resolves: Vec::new(),
        }
    }
}

open_enum! {
    /// Where a patch comes from.
    pub enum PatchType {
        /// Not from upstream.
        Unofficial = "unofficial",
        /// Changes the behaviour at run time.
        Monkey = "monkey",
        /// From a later version, adapted.
        Backport = "backport",
        /// From upstream, as it is.
        CherryPick = "cherry-pick",
    }
}

/// A change, or where it is found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Diff {
    /// The text of the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Attachment>,
    /// Where it is found.
    #[serde(
        default,
        serialize_with = "iri::iri_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub url: Option<String>,
}

/// Content within the document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The media type; plain text unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// How it is encoded; as plain text unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The content.
    #[serde(default)]
    pub content: String,
}

open_enum! {
    /// How content within a document is encoded.
    pub enum Encoding {
        /// As base64.
        Base64 = "base64",
    }
}

/// Something that a patch mends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// What kind of thing it is.
    #[serde(rename = "type")]
    pub kind: IssueType,
    /// Its identifier, such as a CVE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Where it is described.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        serialize_with = "iri::iri_list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub references: Vec<String>,
}

impl Issue {
    /// A vulnerability.
    pub fn security(id: impl Into<String>) -> Self {
        Self {
            kind: IssueType::Security,
            id: Some(id.into()),
            name: None,
            source: None,
            references: Vec::new(),
        }
    }
}

open_enum! {
    /// What kind of thing a patch mends.
    pub enum IssueType {
        /// A defect.
        Defect = "defect",
        /// A missing feature.
        Enhancement = "enhancement",
        /// A vulnerability.
        Security = "security",
    }
}

/// Who says something: a database, a vendor, a scorer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Source {
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The site.
    #[serde(
        default,
        serialize_with = "iri::iri_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub url: Option<String>,
}

impl Source {
    /// A source by its name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            url: None,
        }
    }

    /// The source with its site.
    #[must_use]
    pub fn at(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }
}

/// Reads a list of identity evidence, or the single object that version 1.5 has in its place.
fn read_identity<'de, D>(deserializer: D) -> Result<Vec<IdentityEvidence>, D::Error>
where
    D: Deserializer<'de>,
{
    struct OneOrMany;

    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<IdentityEvidence>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("identity evidence, or a list of it")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            IdentityEvidence::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut many = Vec::new();
            while let Some(one) = seq.next_element()? {
                many.push(one);
            }
            Ok(many)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }
    }

    deserializer.deserialize_any(OneOrMany)
}
