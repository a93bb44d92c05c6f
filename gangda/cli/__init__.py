"""The command line: one file per subcommand; packages that need torch are imported inside it."""
