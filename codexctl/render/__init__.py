"""What the commands print: results from the control socket in, lines of text out. Pure."""
