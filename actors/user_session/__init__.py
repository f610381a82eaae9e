"""People who are there: their connections, their presence, what is delivered to them."""
