SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'
