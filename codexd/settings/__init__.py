"""Settings: the schema, where values come from, editing the file, and the settings in effect."""
