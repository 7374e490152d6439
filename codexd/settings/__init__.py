"""Settings: the schema, where values come from, editing the file, and those that hold now."""
