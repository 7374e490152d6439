"""The programs that work through codexd: their own settings, edited and put back."""
