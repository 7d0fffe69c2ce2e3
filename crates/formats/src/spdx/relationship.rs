//! How elements relate, and which of the many words for it mean a dependency.

use serde::{Deserialize, Serialize};

use super::DOCUMENT_ID;
use crate::open_enum::open_enum;

/// `element` stands in a relation to `related`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Relationship {
    /// The identifier of the subject.
    #[serde(rename = "spdxElementId")]
    pub element: String,
    /// The relation.
    #[serde(rename = "relationshipType")]
    pub kind: RelationshipType,
    /// The identifier of the object, or `NONE` or `NOASSERTION`.
    #[serde(rename = "relatedSpdxElement")]
    pub related: String,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl Relationship {
    /// `element` stands in this relation to `related`.
    pub fn new(
        element: impl Into<String>,
        kind: RelationshipType,
        related: impl Into<String>,
    ) -> Self {
        Self {
            element: element.into(),
            kind,
            related: related.into(),
            comment: None,
        }
    }

    /// The document is about `element`.
    pub fn describes(element: impl Into<String>) -> Self {
        Self::new(DOCUMENT_ID, RelationshipType::Describes, element)
    }

    /// The relation as an edge of the dependency graph, whichever way round it was said.
    ///
    /// `None` for relations that are none, and for those to `NONE` and `NOASSERTION`.
    pub fn edge(&self) -> Option<Edge<'_>> {
        let forward = |kind| Some((self.element.as_str(), kind, self.related.as_str()));
        let backward = |kind| Some((self.related.as_str(), kind, self.element.as_str()));
        let (from, kind, to) = match self.kind {
            RelationshipType::DependsOn | RelationshipType::HasPrerequisite => {
                forward(EdgeKind::Dependency)
            }
            RelationshipType::DependencyOf | RelationshipType::PrerequisiteFor => {
                backward(EdgeKind::Dependency)
            }
            RelationshipType::RuntimeDependencyOf => backward(EdgeKind::Runtime),
            RelationshipType::DynamicLink => forward(EdgeKind::Runtime),
            RelationshipType::BuildDependencyOf | RelationshipType::BuildToolOf => {
                backward(EdgeKind::Build)
            }
            RelationshipType::StaticLink => forward(EdgeKind::Build),
            RelationshipType::DevDependencyOf | RelationshipType::DevToolOf => {
                backward(EdgeKind::Development)
            }
            RelationshipType::TestDependencyOf | RelationshipType::TestToolOf => {
                backward(EdgeKind::Test)
            }
            RelationshipType::OptionalDependencyOf | RelationshipType::OptionalComponentOf => {
                backward(EdgeKind::Optional)
            }
            RelationshipType::ProvidedDependencyOf => backward(EdgeKind::Provided),
            RelationshipType::Contains => forward(EdgeKind::Contains),
            RelationshipType::ContainedBy | RelationshipType::PackageOf => {
                backward(EdgeKind::Contains)
            }
            RelationshipType::PatchApplied | RelationshipType::PatchFor => {
                backward(EdgeKind::Patch)
            }
            _ => None,
        }?;
        let is_element = |id: &str| !matches!(id, super::NONE | super::NOASSERTION);
        (is_element(from) && is_element(to)).then_some(Edge { from, kind, to })
    }
}

/// An edge of the dependency graph: `from` needs, holds or was changed by `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Edge<'a> {
    /// The identifier of what depends.
    pub from: &'a str,
    /// How.
    pub kind: EdgeKind,
    /// The identifier of what it depends on.
    pub to: &'a str,
}

/// How something depends on something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeKind {
    /// It needs it; when is not said.
    Dependency,
    /// It needs it when it runs.
    Runtime,
    /// It needs it when it is built, or has it linked in.
    Build,
    /// Its developers need it.
    Development,
    /// Its tests need it.
    Test,
    /// It can do without it.
    Optional,
    /// It needs it and expects it to be there.
    Provided,
    /// It holds it.
    Contains,
    /// It was changed by it: a patch.
    Patch,
}

open_enum! {
    /// A relation between two elements.
    pub enum RelationshipType {
        /// The document is about the element.
        Describes = "DESCRIBES",
        /// The element is what the document is about.
        DescribedBy = "DESCRIBED_BY",
        /// Holds.
        Contains = "CONTAINS",
        /// Is held by.
        ContainedBy = "CONTAINED_BY",
        /// Needs.
        DependsOn = "DEPENDS_ON",
        /// Is needed by.
        DependencyOf = "DEPENDENCY_OF",
        /// Lists what is needed by.
        DependencyManifestOf = "DEPENDENCY_MANIFEST_OF",
        /// Is needed for building.
        BuildDependencyOf = "BUILD_DEPENDENCY_OF",
        /// Is needed for developing.
        DevDependencyOf = "DEV_DEPENDENCY_OF",
        /// Can be used by.
        OptionalDependencyOf = "OPTIONAL_DEPENDENCY_OF",
        /// Is expected to be there by.
        ProvidedDependencyOf = "PROVIDED_DEPENDENCY_OF",
        /// Is needed for testing.
        TestDependencyOf = "TEST_DEPENDENCY_OF",
        /// Is needed at run time by.
        RuntimeDependencyOf = "RUNTIME_DEPENDENCY_OF",
        /// Is an example of.
        ExampleOf = "EXAMPLE_OF",
        /// Generates.
        Generates = "GENERATES",
        /// Was generated from.
        GeneratedFrom = "GENERATED_FROM",
        /// Is an ancestor of.
        AncestorOf = "ANCESTOR_OF",
        /// Is a descendant of.
        DescendantOf = "DESCENDANT_OF",
        /// Is a variant of.
        VariantOf = "VARIANT_OF",
        /// Has to be distributed with.
        DistributionArtifact = "DISTRIBUTION_ARTIFACT",
        /// Is a patch for.
        PatchFor = "PATCH_FOR",
        /// Is a patch that was applied to.
        PatchApplied = "PATCH_APPLIED",
        /// Is a copy of.
        CopyOf = "COPY_OF",
        /// Is a file that was added to.
        FileAdded = "FILE_ADDED",
        /// Is a file that was removed from.
        FileDeleted = "FILE_DELETED",
        /// Is a file that was changed in.
        FileModified = "FILE_MODIFIED",
        /// Was unpacked from.
        ExpandedFromArchive = "EXPANDED_FROM_ARCHIVE",
        /// Links dynamically to.
        DynamicLink = "DYNAMIC_LINK",
        /// Links statically to.
        StaticLink = "STATIC_LINK",
        /// Is data of.
        DataFileOf = "DATA_FILE_OF",
        /// Is a test case of.
        TestCaseOf = "TEST_CASE_OF",
        /// Builds.
        BuildToolOf = "BUILD_TOOL_OF",
        /// Is a tool for developing.
        DevToolOf = "DEV_TOOL_OF",
        /// Tests.
        TestOf = "TEST_OF",
        /// Is a tool for testing.
        TestToolOf = "TEST_TOOL_OF",
        /// Documents.
        DocumentationOf = "DOCUMENTATION_OF",
        /// Is an optional part of.
        OptionalComponentOf = "OPTIONAL_COMPONENT_OF",
        /// Is a metafile of.
        MetafileOf = "METAFILE_OF",
        /// Is a package of.
        PackageOf = "PACKAGE_OF",
        /// Amends.
        Amends = "AMENDS",
        /// Is needed before.
        PrerequisiteFor = "PREREQUISITE_FOR",
        /// Needs before.
        HasPrerequisite = "HAS_PREREQUISITE",
        /// Specifies the requirements of.
        RequirementDescriptionFor = "REQUIREMENT_DESCRIPTION_FOR",
        /// Specifies.
        SpecificationFor = "SPECIFICATION_FOR",
        /// Any other relation; the specification's own word, not an unknown value.
        Unlisted = "OTHER",
    }
}
