"""One engine per subcommand: reads files, makes moves, writes files."""
