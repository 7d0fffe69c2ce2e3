//! The same data for programs, and its description.

use hyper::StatusCode;
use snowguard_tracker::view;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, HttpMethod, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, RefOr, Required, ResponseBuilder, Responses, ResponsesBuilder,
    path::OperationBuilder, path::ParameterBuilder, path::ParameterIn, schema::Type,
};
use utoipa::{PartialSchema as _, ToSchema};

use super::forms::{FORMS, Form};
use super::route::Shown;
use super::show::{self, NoData};
use super::{Context, json};
use crate::fault::{Fault, Problem};
use crate::frame::Section;
use crate::reply::Reply;

/// The data of a page.
pub(super) fn data(context: &Context<'_>, shown: &Shown<'_>) -> Result<Reply, Fault> {
    if let Some(person) = &context.person {
        person.needs(snowguard_db::people::Scopes::READ, "read")?;
    }
    match show::load(context, shown) {
        Ok(loaded) => json(&loaded),
        Err(NoData::Elsewhere(address)) => Ok(Reply::moved(&format!("/api/v1{address}"))),
        Err(NoData::Fault(fault)) => Err(fault),
    }
}

/// The description of the API.
pub(super) fn document() -> Result<Reply, Fault> {
    Ok(Reply::json(
        openapi().map_err(Fault::internal)?.into_bytes(),
    ))
}

/// The page about the API.
pub(super) fn page(context: &Context<'_>) -> Result<Reply, Fault> {
    let paths: Vec<(String, &str)> = PATHS
        .iter()
        .map(|path| (format!("/api/v1{}", path.at), path.what))
        .collect();
    let forms: Vec<(String, &str, &str)> = FORMS
        .iter()
        .map(|form| (format!("/api/v1{}", form.at), form.scope, form.what))
        .collect();
    let html = crate::page::api(&context.frame(Section::Other), &paths, &forms)?;
    Ok(Reply::page(html).status(StatusCode::OK))
}

/// An address of the API.
struct Path {
    at: &'static str,
    name: &'static str,
    what: &'static str,
    /// The names in the path, then those in the query.
    inside: &'static [&'static str],
    query: &'static [&'static str],
    /// What it answers with.
    schema: &'static str,
}

const PATHS: [Path; 16] = [
    Path {
        at: "/home",
        name: "home",
        what: "What needs action now",
        inside: &[],
        query: &[],
        schema: "Home",
    },
    Path {
        at: "/queue",
        name: "queue",
        what: "Suggestions, in the order in which they press",
        inside: &[],
        query: &[
            "by",
            "bucket",
            "rating",
            "exploited",
            "channel",
            "assignee",
            "cursor",
        ],
        schema: "Queue",
    },
    Path {
        at: "/advisories/{name}",
        name: "advisory",
        what: "One vulnerability, and whom it concerns",
        inside: &["name"],
        query: &["cursor"],
        schema: "Advisory",
    },
    Path {
        at: "/packages/{key}",
        name: "package",
        what: "One package in all channels",
        inside: &["key"],
        query: &["cursor"],
        schema: "Package",
    },
    Path {
        at: "/packages/{key}/{advisory}",
        name: "finding",
        what: "One package and one advisory, with the evidence",
        inside: &["key", "advisory"],
        query: &[],
        schema: "Finding",
    },
    Path {
        at: "/maintainers/{name}",
        name: "maintainer",
        what: "What a maintainer or a team has to do",
        inside: &["name"],
        query: &["cursor"],
        schema: "Maintainer",
    },
    Path {
        at: "/channels",
        name: "channels",
        what: "All channels",
        inside: &[],
        query: &[],
        schema: "Channels",
    },
    Path {
        at: "/channels/{name}",
        name: "channel",
        what: "What is affected in one channel",
        inside: &["name"],
        query: &["cursor"],
        schema: "Channel",
    },
    Path {
        at: "/search",
        name: "search",
        what: "What goes by a name, or has the words",
        inside: &[],
        query: &["q", "kind", "cursor"],
        schema: "Search",
    },
    Path {
        at: "/activity",
        name: "activity",
        what: "What people and the tracker did",
        inside: &[],
        query: &["actor", "cursor"],
        schema: "Activity",
    },
    Path {
        at: "/data",
        name: "data",
        what: "Where the data is from, and of when",
        inside: &[],
        query: &[],
        schema: "Data",
    },
    Path {
        at: "/issues",
        name: "issues",
        what: "What is published",
        inside: &[],
        query: &["cursor"],
        schema: "Issues",
    },
    Path {
        at: "/issues/{id}",
        name: "issue",
        what: "One published issue",
        inside: &["id"],
        query: &[],
        schema: "Issue",
    },
    Path {
        at: "/advisories/{name}/publish",
        name: "draft",
        what: "What is proposed to who publishes an advisory",
        inside: &["name"],
        query: &[],
        schema: "Draft",
    },
    Path {
        at: "/subscriptions",
        name: "subscriptions",
        what: "What the owner of a token with the scope subscribe is told about",
        inside: &[],
        query: &[],
        schema: "Subscriptions",
    },
    Path {
        at: "/rules/{key}",
        name: "rules",
        what: "What a package is, is not, and is not taken to be; with preview=1, what a rule would change",
        inside: &["key"],
        query: &[
            "preview", "product", "verdict", "channel", "expires", "reason",
        ],
        schema: "Rules",
    },
];

/// The description of the API in `OpenAPI`, as it is committed.
pub fn openapi() -> Result<String, serde_json::Error> {
    let mut text = described().to_pretty_json()?;
    text.push('\n');
    Ok(text)
}

fn described() -> OpenApi {
    let mut schemas: Vec<(String, RefOr<utoipa::openapi::Schema>)> = Vec::new();
    macro_rules! add {
        ($($view:ty),+) => {$(
            schemas.push((<$view as ToSchema>::name().into_owned(), <$view>::schema()));
            <$view as ToSchema>::schemas(&mut schemas);
        )+};
    }
    add!(
        view::Home,
        view::Queue,
        view::Advisory,
        view::Package,
        view::Finding,
        view::Maintainer,
        view::Channels,
        view::Channel,
        view::Search,
        view::Activity,
        view::Data,
        view::Issues,
        view::Issue,
        view::Draft,
        view::Subscriptions,
        view::Rules,
        super::rules::Ruled,
        super::rules::Followed,
        super::act::Done,
        super::issue::Published,
        super::subscribe::Subscribed,
        super::subscribe::Unsubscribed,
        Problem
    );
    let mut components = utoipa::openapi::ComponentsBuilder::new();
    for (name, schema) in schemas {
        components = components.schema(name, schema);
    }
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token from one’s settings; nothing that is public needs one.",
        ))
        .build();
    let components = components.security_scheme("token", SecurityScheme::Http(token));
    let mut paths = PathsBuilder::new();
    for path in &PATHS {
        paths = paths.path(format!("/api/v1{}", path.at), item(path));
    }
    for form in &FORMS {
        paths = paths.path(format!("/api/v1{}", form.at), sent(form));
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Snowguard tracker")
                .version("1")
                .description(Some(
                    "What the tracker’s pages show, as data. Lists go on where `next` says: give it \
                     back as `cursor`. Answers have an `ETag`. Errors are problems (RFC 9457).",
                ))
                .build(),
        )
        .paths(paths.build())
        .components(Some(components.build()))
        .build()
}

/// Something that is sent, with a token that may.
fn sent(form: &Form) -> PathItem {
    let operation = OperationBuilder::new()
        .operation_id(Some(form.name))
        .summary(Some(form.what))
        .security(SecurityRequirement::new("token", [form.scope]))
        .request_body(Some(form.body()))
        .responses(responses(form.schema, form.what))
        .build();
    PathItem::new(HttpMethod::Post, operation)
}

fn responses(schema: &str, what: &str) -> Responses {
    let answer = |schema: &str, media: &str, what: &str| {
        let content = Content::new(Some(Ref::from_schema_name(schema)));
        ResponseBuilder::new()
            .description(what)
            .content(media, content)
            .build()
    };
    ResponsesBuilder::new()
        .response("200", answer(schema, "application/json", what))
        .response(
            "default",
            answer("Problem", "application/problem+json", "What went wrong"),
        )
        .build()
}

fn item(path: &Path) -> PathItem {
    let parameter = |name: &str, place: ParameterIn| {
        ParameterBuilder::new()
            .name(name)
            .required(match place {
                ParameterIn::Path => Required::True,
                _ => Required::False,
            })
            .parameter_in(place)
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build()
    };
    let inside = path
        .inside
        .iter()
        .map(|name| parameter(name, ParameterIn::Path));
    let query = path
        .query
        .iter()
        .map(|name| parameter(name, ParameterIn::Query));
    let operation = OperationBuilder::new()
        .operation_id(Some(path.name))
        .summary(Some(path.what))
        .parameters(Some(inside.chain(query)))
        .responses(responses(path.schema, path.what))
        .build();
    PathItem::new(HttpMethod::Get, operation)
}
