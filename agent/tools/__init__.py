"""What an agent can do: one registry for the MCP server, the chat and `drls agent`. One file per group of tools."""
