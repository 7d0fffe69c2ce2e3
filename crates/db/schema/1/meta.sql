-- What is known of the database itself: `schema` is the version of these files.
CREATE TABLE meta (
    name {text} PRIMARY KEY,
    value {text} NOT NULL
) {rowless};
