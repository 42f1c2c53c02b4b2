-- People and models name an observation by the last eight digits of its id.

CREATE INDEX observations_short_id ON observations (team_id, right(id::text, 8));
