"""Settings: the schema, where values come from, editing the file, and the settings in effect."""

LOG_LEVELS = ("debug", "info", "warning", "error")
"""Choices of ``log.level``. They stand here because ``--log-level`` needs them before the schema is imported."""
