-- Idempotency keys are the same in every schema now: `claims`. What keys did in the day before this is forgotten.
DROP TABLE idempotency_keys;
