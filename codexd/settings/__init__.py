"""Settings: the schema, where values come from, editing the file, and those that hold now."""

LOG_LEVELS = ("debug", "info", "warning", "error")
"""Of ``log.level``. Here, as the command line's ``--log-level`` needs them before the schema is imported."""
