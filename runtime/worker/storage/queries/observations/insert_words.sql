-- Make an observation findable; the texts went through domain/terms.py.
INSERT INTO observation_words (rowid, title, files, subtitle, facts, concepts, narrative)
SELECT sequence, :title, :files, :subtitle, :facts, :concepts, :narrative
FROM observations
WHERE id = :id
