DELETE FROM jobs WHERE settled_ms < $1
