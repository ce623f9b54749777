"""What chats leave behind: messages, tool calls, what they used. A database of its own."""
