"""Edits the settings of the programs that use codexd, and puts them back."""
