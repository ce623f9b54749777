"""The MCP server: the tools over stdio and streamable HTTP."""
