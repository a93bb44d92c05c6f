"""The command line: one file per subcommand; engines are imported inside the command."""
