"""What is right and wrong with a codexd and its surroundings. Everything here only looks; nothing is changed."""
