-- An approval may become void, by a revocation of its key for example: then the
-- same person approves with another key. Whose approvals count, the rules say.
DROP INDEX reviews_one_approval;
CREATE UNIQUE INDEX reviews_one_approval ON reviews (version, key_id) WHERE verdict = 'approve';
