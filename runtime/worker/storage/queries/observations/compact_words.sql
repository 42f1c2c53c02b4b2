-- Merge the index into one piece, which drops the words of deleted observations: until then they stay in older pieces.
INSERT INTO observation_words (observation_words) VALUES ('optimize')
