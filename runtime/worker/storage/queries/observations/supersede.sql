-- Delete what an earlier generation made of the same source, keeping what this one made (:keep, ids between commas).
DELETE FROM observations
WHERE source_type = :source_type AND source_id = :source_id AND instr(:keep, ',' || id || ',') = 0
