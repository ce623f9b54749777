"""Tables in the web app: what the catalog has, what is in each table, and how healthy it is."""
