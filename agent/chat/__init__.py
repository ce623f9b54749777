"""TRex, the chat: a model in a loop with the tools, on a budget."""
