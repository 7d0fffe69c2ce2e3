//! What programs may send, for the description of the API: each form with its fields, its scope and its
//! answer. A test
//! holds addresses and scopes against the server.

use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ArrayBuilder, Type};
use utoipa::openapi::{Content, ObjectBuilder, Required};

/// A form.
pub(super) struct Form {
    pub(super) at: &'static str,
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// What a token must be for.
    pub(super) scope: &'static str,
    fields: &'static [Field],
    /// What it answers with.
    pub(super) schema: &'static str,
}

/// A field of a form.
struct Field {
    name: &'static str,
    what: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Needed,
    Optional,
    /// Once or more.
    Several,
}

const fn field(name: &'static str, kind: Kind, what: &'static str) -> Field {
    Field { name, what, kind }
}

const FINDINGS: Field = field(
    "f",
    Kind::Several,
    "A finding, as NUMBER.REVISION: of which revision is decided",
);
const REASON: Field = field("reason", Kind::Optional, "Why, or what is said");
const JUSTIFICATION: Field = field(
    "justification",
    Kind::Optional,
    "One of the five of OpenVEX; needed for not_affected",
);
const TITLE: Field = field("title", Kind::Needed, "One line, up to 200 characters");
const TEXT: Field = field("text", Kind::Optional, "Markdown, up to 20,000 characters");
const ISSUE: Field = field("issue", Kind::Needed, "The public id");
const REVISION: Field = field("revision", Kind::Needed, "The revision that was looked at");

/// All of them.
pub(super) const FORMS: [Form; 13] = [
    Form {
        at: "/decide",
        name: "decide",
        what: "Decides on findings",
        scope: "triage",
        fields: &[
            FINDINGS,
            field(
                "state",
                Kind::Needed,
                "untriaged, needs_review, confirmed, not_affected, duplicate or wont_fix",
            ),
            JUSTIFICATION,
            field(
                "duplicate_of",
                Kind::Optional,
                "The other advisory; needed for duplicate",
            ),
            REASON,
            field(
                "others",
                Kind::Optional,
                "dismiss: those of `all` that are not in `f` are not affected",
            ),
            field("all", Kind::Several, "Findings, as in `f`"),
        ],
        schema: "Done",
    },
    Form {
        at: "/comment",
        name: "comment",
        what: "Says something about findings",
        scope: "triage",
        fields: &[FINDINGS, REASON],
        schema: "Done",
    },
    Form {
        at: "/assign",
        name: "assign",
        what: "Takes findings on oneself, gives them back, or gives them to another",
        scope: "triage",
        fields: &[
            FINDINGS,
            field(
                "assignee",
                Kind::Optional,
                "A login, or nothing; another’s than one’s own for the security team only",
            ),
            REASON,
        ],
        schema: "Done",
    },
    Form {
        at: "/undo",
        name: "undo",
        what: "Takes back what was done, as a whole",
        scope: "triage",
        fields: &[field("event", Kind::Needed, "Its number"), REASON],
        schema: "Done",
    },
    Form {
        at: "/remember",
        name: "remember",
        what: "Makes a rule about a package and a product",
        scope: "triage",
        fields: &[
            field("package", Kind::Needed, "Its key"),
            field("product", Kind::Needed, "As the identity table has it"),
            field("verdict", Kind::Needed, "accept or deny"),
            field("channel", Kind::Optional, "Only in this one"),
            field("expires", Kind::Optional, "The last day on which it holds"),
            field("reason", Kind::Needed, "A fact that can be checked"),
        ],
        schema: "Ruled",
    },
    Form {
        at: "/forget",
        name: "forget",
        what: "Takes a rule back",
        scope: "triage",
        fields: &[field("rule", Kind::Needed, "Its number"), REASON],
        schema: "Ruled",
    },
    Form {
        at: "/follow",
        name: "follow",
        what: "Follows a channel again",
        scope: "triage",
        fields: &[field("channel", Kind::Needed, "Its name"), REASON],
        schema: "Followed",
    },
    Form {
        at: "/drop",
        name: "drop",
        what: "Leaves a channel out of account",
        scope: "triage",
        fields: &[field("channel", Kind::Needed, "Its name"), REASON],
        schema: "Followed",
    },
    Form {
        at: "/publish",
        name: "publish",
        what: "Publishes an advisory of which something is confirmed",
        scope: "publish",
        fields: &[field("advisory", Kind::Needed, "Its name"), TITLE, TEXT],
        schema: "Published",
    },
    Form {
        at: "/edit",
        name: "edit",
        what: "Changes the words of an issue",
        scope: "publish",
        fields: &[ISSUE, REVISION, TITLE, TEXT],
        schema: "Published",
    },
    Form {
        at: "/withdraw",
        name: "withdraw",
        what: "Withdraws an issue",
        scope: "publish",
        fields: &[
            ISSUE,
            REVISION,
            field("reason", Kind::Needed, "Why, for everybody who has read it"),
        ],
        schema: "Published",
    },
    Form {
        at: "/subscribe",
        name: "subscribe",
        what: "Makes a subscription",
        scope: "subscribe",
        fields: &[
            field(
                "kind",
                Kind::Needed,
                "package, maintainer, advisory, channel, search or everything",
            ),
            field("name", Kind::Optional, "Its name, or what is searched for"),
            field("way", Kind::Needed, "mail or webhook"),
            field("target", Kind::Needed, "To which address"),
            field("pace", Kind::Needed, "at_once or daily"),
        ],
        schema: "Subscribed",
    },
    Form {
        at: "/unsubscribe",
        name: "unsubscribe",
        what: "Ends one’s own subscription",
        scope: "subscribe",
        fields: &[field("subscription", Kind::Needed, "Its number")],
        schema: "Unsubscribed",
    },
];

impl Form {
    /// What is sent.
    pub(super) fn body(&self) -> RequestBody {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let mut object = ObjectBuilder::new();
        for field in self.fields {
            object = match field.kind {
                Kind::Several => object.property(
                    field.name,
                    ArrayBuilder::new()
                        .items(text())
                        .description(Some(field.what)),
                ),
                _ => object.property(field.name, text().description(Some(field.what))),
            };
            if field.kind == Kind::Needed {
                object = object.required(field.name);
            }
        }
        RequestBodyBuilder::new()
            .content(
                "application/x-www-form-urlencoded",
                Content::new(Some(object)),
            )
            .required(Some(Required::True))
            .build()
    }
}
