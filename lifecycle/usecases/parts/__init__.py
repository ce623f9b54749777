"""What several verbs share. A verb is a file of the folder above; nothing here is one by itself."""
