"""The `drls` command, one file per command group."""
