"""`drls mcp`, `drls agent`: the commands of agents."""
