"""Settings: the schema, where values come from, editing the file, and the settings in effect."""

LOG_LEVELS = ("debug", "info", "warning", "error")
"""The choices of ``log.level``. Defined here because ``--log-level`` needs them before the schema is imported."""
