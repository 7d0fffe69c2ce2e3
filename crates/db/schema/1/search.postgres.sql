-- Words of advisories and packages. Only which document has which word is stored: words are split by us, so that both
-- engines find the same.
CREATE TABLE search_words (
    document BIGINT PRIMARY KEY,
    words TSVECTOR NOT NULL
);
-- What waits to be sorted in is read by every search: little of it, so that writing is quick enough and reading quick.
CREATE INDEX search_words_by_word ON search_words USING gin (words) WITH (gin_pending_list_limit = 64);
