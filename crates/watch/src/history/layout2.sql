-- From layout 1, which did not tell whether what is closed had only been to review: it is taken to have
-- been affected, as is what was told to be. Of what the first scan saw nothing was told: what came to review
-- later than it was first open had been affected before.
ALTER TABLE finding ADD COLUMN affected INTEGER;
ALTER TABLE finding ADD COLUMN affected_since_closed INTEGER NOT NULL DEFAULT 0;
UPDATE finding SET affected = opened, affected_since_closed = state IN ('affected', 'needs_review')
WHERE opened IS NOT NULL AND (state <> 'needs_review' OR EXISTS (
  SELECT 1 FROM event WHERE event.target = finding.target AND event.finding = finding.id
  AND (kind IN ('opened', 'reopened') OR (kind = 'needs_review' AND event.at > finding.opened))
));
