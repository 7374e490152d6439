"""What the commands print: results of the control socket in, lines of text out. Pure."""
