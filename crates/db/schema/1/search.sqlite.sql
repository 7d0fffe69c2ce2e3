-- Words of advisories and packages. Only which document has which word is stored: words are split by us, so that both
-- engines find the same, and the ascii tokenizer never splits them again.
CREATE VIRTUAL TABLE search_words USING fts5(
    words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);
