"""What several verbs share. A verb is a file of the folder above; nothing here is a verb of its own."""
