-- Both are packed already.
ALTER TABLE evaluation ALTER COLUMN delta SET STORAGE EXTERNAL;
ALTER TABLE fact ALTER COLUMN body SET STORAGE EXTERNAL;
-- A mass rebuild writes every row anew: with room in its page it needs no new entry in any index.
ALTER TABLE head SET (fillfactor = 70);
