SELECT 1::bigint FROM servers WHERE id = $1 FOR KEY SHARE
