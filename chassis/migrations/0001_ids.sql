-- next_id: 47 bits of milliseconds, 14 bits of a sequence, 2 bits of kind (chassis/ids.py).
CREATE SEQUENCE id_sequence CACHE 1;

CREATE FUNCTION next_id(kind integer) RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL UNSAFE
AS $$
    SELECT ((extract(epoch FROM clock_timestamp()) * 1000)::bigint << 16)
         | ((nextval('id_sequence') & 16383) << 2)
         | kind
$$;
